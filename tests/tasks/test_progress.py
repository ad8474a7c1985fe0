"""Plain lines where there is no terminal, a bar where there is one."""

import os
import pty
import subprocess
import sys

import pytest

from tasks import progress


def test_plain_lines_come_every_few_seconds_and_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
    with progress.progress("count", 1200) as reporter:
        reporter.advance(1100, note="loss 0.5")
        reporter.advance(100)
    assert capsys.readouterr().err.splitlines() == [
        "count: 1,100/1,200 loss 0.5",
        "count: 1,200/1,200 loss 0.5",
        "count: 1,200/1,200 loss 0.5",
    ]


def test_short_work_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress("count", 2) as reporter:
        reporter.advance(2)
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar() -> None:
    code = (
        "from tasks.progress import progress\n"
        "with progress('count', 3) as reporter: reporter.advance(3, note='done')"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "3/3" in shown
    assert "━" in shown


def test_what_others_have_written_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress.say("error: approved: \x1b[2J\x1b]0;root\x07fine\nsecond line, ü 漢")
    assert capsys.readouterr().err == "error: approved:  [2J ]0;root fine\nsecond line, ü 漢\n"
