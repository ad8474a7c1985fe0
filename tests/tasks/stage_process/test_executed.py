"""The lines that a stage executes are kept where Python can tell of them for nothing."""

import sys
import threading
from pathlib import Path

import pytest

from tasks.stage_process.executed import EXECUTED, executed_by, keep_executed, watch_lines

SOURCE = """
def step(number):
    if number > 5:
        return number
    for part in range(3):
        number += part
    return number

def late(number):
    return number
"""
EXPECTED = {"tasks/m.py": [3, 5, 6, 7]} if sys.version_info >= (3, 12) else {}


def test_executed_lines_are_told_of_all_threads_or_none_is(tmp_path: Path) -> None:
    scope: dict[str, object] = {}
    other: dict[str, object] = {}
    exec(compile(SOURCE, str(tmp_path / "tasks" / "m.py"), "exec"), scope)  # noqa: S102
    exec(compile(SOURCE, str(tmp_path / "library" / "m.py"), "exec"), other)  # noqa: S102
    with watch_lines(tmp_path) as executed:
        for function in (scope["step"], other["step"]):
            thread = threading.Thread(target=function, args=(1,))  # type: ignore[arg-type]
            thread.start()
            thread.join()
        assert executed() == EXPECTED
    with watch_lines(tmp_path) as executed:  # and again: nobody else is in the way
        scope["step"](1)  # type: ignore[operator]
        assert executed() == EXPECTED


def test_what_was_executed_is_kept_by_stage_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert executed_by("pretrain@a", "0") is None
    keep_executed("pretrain@a", "0", {})
    assert executed_by("pretrain@a", "0") is None
    for number in range(7):
        keep_executed("pretrain@a", str(number), {"tasks/m.py": [number]})
    assert executed_by("pretrain@a", "6") == {"tasks/m.py": [6]}
    assert len(list((EXECUTED / "pretrain@a").iterdir())) == 5
