"""A stage's command: what it is given, what is heard of it, and how it ends."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.run.stage_command import NICENESS, Processes, RunStoppedError
from tasks.errors import StageFailed


def lines_of(command: str | list[str], niced: bool = False) -> list[str]:
    lines: list[str] = []
    Processes().run("clean@a", command, {"DVC_STAGE": "clean@a"}, lines.append, niced)
    return lines


def test_each_line_is_heard_from_both_streams_and_bad_bytes_do_no_harm() -> None:
    assert lines_of(r"echo one; echo two >&2; printf '\377three\r'; printf four") == [
        "one", "two", "\ufffdthree", "four",
    ]  # fmt: skip


def test_python_is_the_one_that_runs_the_flow_and_dvcs_variables_are_set() -> None:
    command = "python -c \"import os, sys; print(sys.executable, os.environ['DVC_STAGE'])\""
    assert lines_of(command) == [f"{sys.executable} clean@a"]


def test_several_commands_run_one_after_the_other() -> None:
    assert lines_of(["echo one", "echo two"]) == ["one", "two"]


def test_a_niced_stage_lets_others_go_first() -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert lines_of("nice") == [str(usual)]
    assert lines_of("nice", niced=True) == [str(min(usual + NICENESS, 19))]


def test_nothing_can_be_read_from_the_terminal() -> None:
    assert lines_of("read answer || echo none") == ["none"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (r"echo working; printf 'error: a is bad\nmend it\n' >&2; exit 1", "a is bad\nmend it"),
        ("echo Killed by the moon; exit 7", "exit code 7: Killed by the moon"),
        ("kill -9 $$", "killed by SIGKILL"),
    ],
)
def test_a_failure_is_told_in_the_stages_own_words(command: str, message: str) -> None:
    with pytest.raises(StageFailed) as error:
        lines_of(command)
    assert str(error.value) == f"clean@a failed: {message}"


def test_after_a_failure_no_further_command_runs(tmp_path: Path) -> None:
    with pytest.raises(StageFailed):
        lines_of(["exit 1", f"touch {tmp_path}/ran"])
    assert not (tmp_path / "ran").exists()


def test_stop_ends_the_running_with_sigterm_and_lets_none_start(tmp_path: Path) -> None:
    processes = Processes()
    ended: list[BaseException] = []
    lines: list[str] = []
    # A child that is just being forked can lose the signal with its parent's handler; it must not
    # hold the output that the run reads to its end.
    command = (
        f"trap 'echo terminated > {tmp_path}/end; exit 0' TERM; sleep 60 >/dev/null & echo up; wait"
    )

    def body() -> None:
        try:
            processes.run("clean@a", command, {}, lines.append)
        except RunStoppedError as error:
            ended.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    while not lines:
        time.sleep(0.01)
    processes.stop()
    thread.join(timeout=60)
    assert (tmp_path / "end").read_text() == "terminated\n"
    assert len(ended) == 1
    with pytest.raises(RunStoppedError):
        processes.run("split@a", "true", {}, lines.append)


def test_a_process_group_of_its_own_keeps_ctrl_c_in_the_terminal_from_a_stage() -> None:
    (line,) = lines_of("ps -o pgid= -p $$ || cut -d' ' -f5 /proc/$$/stat")
    assert int(line) != os.getpgid(0)


def test_stop_can_kill() -> None:
    processes = Processes()
    lines: list[str] = []
    failed: list[BaseException] = []

    def body() -> None:
        try:
            processes.run(
                "clean@a", "trap '' TERM; echo up; sleep 60 & wait; sleep 60", {}, lines.append
            )
        except RunStoppedError as error:
            failed.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    while not lines:
        time.sleep(0.01)
    processes.stop(signal.SIGKILL)
    thread.join(timeout=60)
    assert len(failed) == 1
