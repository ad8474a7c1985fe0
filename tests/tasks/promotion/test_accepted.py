"""An acceptance is followed from result to result, and a torn log does no harm."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import files
from tasks.promotion.accepted import LOGS, acceptances, hash_of, read_accepted, was_accepted_from

STAGE = "evaluate@topics"


def _entry(code: str) -> dict[str, Any]:
    return {
        "cmd": "exec python -m tasks.evaluate topics",
        "deps": [
            {"path": "data/code/evaluate/topics.txt", "hash": "md5", "md5": code, "size": 9},
            {"path": "data/split/reuters/test.parquet", "hash": "md5", "md5": "ab", "size": 9},
        ],
        "outs": [{"path": "data/evaluate/topics/metrics.json", "hash": "md5", "md5": "cd"}],
    }


def _accept(before: str, after: str) -> str:
    hashes = {"old_hash": hash_of(_entry(before)), "new_hash": hash_of(_entry(after))}
    about = {"time": "2026-11-22T09:00:00+00:00", "who": "ann", "reason": f"{before} to {after}"}
    return json.dumps({"stage": STAGE, **hashes, **about})


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code 1 was accepted as 2, and that as 3; both logs have the second."""
    monkeypatch.chdir(tmp_path)
    first, second = _accept("1", "2"), _accept("2", "3")
    files.write_text(LOGS[0], f'{first}\n{second}\n{{"stage": "torn')
    files.write_text(LOGS[1], f"{second}\n")


def test_acceptances_are_followed_back_to_the_first(logged: None) -> None:
    assert len(read_accepted()) == 2
    found = acceptances(STAGE, _entry("3"))
    assert [one["reason"] for one in found] == ["2 to 3", "1 to 2"]
    assert was_accepted_from(STAGE, _entry("3"), "1")
    assert was_accepted_from(STAGE, _entry("3"), "2")


def test_other_code_and_other_data_were_not_accepted(logged: None) -> None:
    assert not was_accepted_from(STAGE, _entry("3"), "0")
    other = _entry("3")
    other["deps"][1]["md5"] = "other records"
    assert acceptances(STAGE, other) == []
    assert not was_accepted_from(STAGE, other, "2")


def test_an_entry_stays_as_it_was(logged: None) -> None:
    entry = _entry("3")
    assert was_accepted_from(STAGE, entry, "2")
    assert entry == _entry("3")
