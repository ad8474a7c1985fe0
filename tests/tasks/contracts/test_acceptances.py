"""The log of acceptances: both copies hold each line, and a torn line does no harm."""

from pathlib import Path

import pytest

from tasks.contracts.acceptances import LOGS, Acceptance, append_acceptances, read_acceptances

ACCEPTED = Acceptance(
    stage="evaluate@topics",
    old_hash="aa",
    new_hash="bb",
    changed=["tasks.evaluate.card"],
    time="2026-11-22T09:00:00+00:00",
    who="änn",
    commit=None,
    reason="a comment",
)


def test_what_is_appended_lies_in_both_logs_and_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_acceptances() == []
    append_acceptances([ACCEPTED])
    other = Acceptance({**ACCEPTED, "old_hash": "bb", "new_hash": "cc"})  # type: ignore[typeddict-item]
    append_acceptances([other])
    one, copy = (path.read_text(encoding="utf-8") for path in LOGS)
    assert one == copy
    assert one.splitlines()[0] == (
        '{"stage": "evaluate@topics", "old_hash": "aa", "new_hash": "bb", '
        '"changed": ["tasks.evaluate.card"], "time": "2026-11-22T09:00:00+00:00", "who": "änn", '
        '"commit": null, "reason": "a comment"}'
    )
    with LOGS[0].open("a") as log:
        log.write('{"stage": "torn')
    assert read_acceptances() == [ACCEPTED, other]
