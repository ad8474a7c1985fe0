"""Which failures are worth another try."""

from pathlib import Path

import pytest

from tasks.errors import BadInput, DownstreamError, Preempted, Unreachable
from tasks.stage_process.failure import FAILURES, forget_failure, tell_failure, was_transient


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (Unreachable("the hub is away"), True),
        (Preempted("stopped by SIGTERM"), True),
        (BadInput("row 3 is bad"), False),
        (OSError("no space left"), False),
    ],
)
def test_a_network_or_a_machine_may_come_back_and_bad_input_does_not(
    error: DownstreamError | OSError, passes: bool
) -> None:
    tell_failure("collect@a", error)
    assert was_transient("collect@a") is passes
    assert was_transient("collect@b") is False


def test_an_earlier_failure_is_forgotten_and_a_torn_note_says_nothing() -> None:
    tell_failure("collect@a", Unreachable("away"))
    forget_failure("collect@a")
    assert not was_transient("collect@a")
    forget_failure("collect@a")
    (FAILURES / "collect@a.json").write_text('{"kind": "Unr')
    assert not was_transient("collect@a")
