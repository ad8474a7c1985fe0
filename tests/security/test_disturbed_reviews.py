"""An approval that is killed, or finds no space, at one of its writes: the next command ends it."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from tasks.errors import DownstreamError, is_full
from tasks.promotion.review import decisions
from tasks.promotion.review.pending import pending
from tasks.promotion.review.store import latest
from tasks.tracking.audit.log import aliases_of, read_log
from tasks.tracking.store import opened
from tests.tasks.promotion.scene import MODEL, Scene
from tests.workspace import ROOT

WRITES = ("INSERT", "UPDATE", "DELETE")
KILLED, REFUSED, CRASHED = 9, 1, 3
APPROVE = (
    "from tasks.promotion.review.decisions import decide\n"
    "from tasks.promotion.review.store import latest\n"
    f"decide(latest({MODEL!r}), 'approve', 'Fine.', 'Ann')\n"
)


def kill() -> None:
    """End as by a power loss."""
    os.kill(os.getpid(), signal.SIGKILL)


def fill() -> None:
    """Let no file grow from now on."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


def approve(at: int, disturb: Callable[[], None]) -> int:
    """Approve in a process of its own, which is disturbed at one of its writes; return its code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal seen
        if statement.lstrip().upper().startswith(WRITES):
            if seen == at:
                disturb()
            seen += 1

    code = CRASHED
    try:
        event.listen(Engine, "before_cursor_execute", count)
        decisions.decide(latest(MODEL), "approve", "Fine.", "Ann")
        code = 0
    except Exception as error:  # noqa: BLE001 - told by its kind
        code = REFUSED if isinstance(error, DownstreamError) or is_full(error) else CRASHED
    finally:
        os._exit(code)


def end_state() -> tuple[dict[str, int], list[str]]:
    """Return the aliases and the last actions, after the log was found to hold."""
    with opened() as client:
        log = read_log(client, MODEL)
        assert log.problems() == []
        return aliases_of(client, MODEL), [entry["action"] for entry in log.entries]


@pytest.mark.parametrize(("disturb", "stride"), [(kill, 2), (fill, 5)])
def test_an_approval_that_is_disturbed_at_some_write_is_ended_by_the_next_command(
    reviewed: Scene, monkeypatch: pytest.MonkeyPatch, disturb: Callable[[], None], stride: int
) -> None:
    store = Path("mlflow.db").read_bytes()
    assert approve(10_000, disturb) == 0
    expected = end_state()
    assert expected[0] == {"candidate": 2, "champion": 2, "previous": 1}
    monkeypatch.setattr(decisions, "ABANDONED_AFTER", timedelta(0))
    codes = []
    while not codes or codes[-1] != 0:
        Path("mlflow.db-journal").unlink(missing_ok=True)
        Path("mlflow.db").write_bytes(store)
        codes.append(approve(stride * len(codes), disturb))
        if next(row for row in pending() if row.model == MODEL).waits:
            decisions.decide(latest(MODEL), "approve", "Fine.", "Ann")
        assert end_state() == expected, len(codes)
    assert len(codes) > 3
    assert set(codes[:-1]) == {-KILLED if disturb is kill else REFUSED}


def test_an_approval_whose_clock_is_set_back_holds(reviewed: Scene) -> None:
    subprocess.run(
        ["faketime", "-f", "-400d", sys.executable, "-c", APPROVE],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=120,
    )
    aliases, actions = end_state()
    assert aliases == {"candidate": 2, "champion": 2, "previous": 1}
    assert actions.count("approve") == 2
