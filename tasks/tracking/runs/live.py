"""A stage that trains, told to MLflow while it runs.

    training thread --Curve--> journal --thread--> MLflow
    every few seconds: CPU, memory --+

The training appends lines to a file, and waits for nobody. A thread sends them, with short
time-outs, and less often while the server is away. What is left at the end is sent with the run's
record, or by the next command.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Unpack

from tasks.errors import Preempted, Unreachable
from tasks.progress import say
from tasks.tracking.runs import journal, live_writer, system
from tasks.tracking.runs.metric_log import Curve
from tasks.tracking.runs.runs import Facts, describe_run
from tasks.tracking.store import SMALL_TIMEOUT_SECONDS, answer_within, errors, first_line, opened

STOPPED = (Preempted, KeyboardInterrupt, SystemExit)
SECONDS_BETWEEN = 5.0
LONGEST_SECONDS_BETWEEN = 60.0
"""While the server is away."""
SECONDS_TO_END = 15.0
SECONDS_TO_STOP = 2.0
"""After SIGTERM, as whoever sent it waits: what is not sent yet is kept, and sent later."""
SECONDS_TO_HOLD = 30.0
"""Others hold a journal only to see that nobody does."""
SYSTEM_SECONDS_BETWEEN = 10.0
SYSTEM_SHARE = 1000
"""Long trainings are looked at every so-manieth of their time, so that the journal stays small."""


@contextmanager
def live_run(**facts: Unpack[Facts]) -> Iterator[Path]:
    """Tell MLflow of a training while the body runs; ``record_run`` completes the same run.

    Args:
        facts: what is known of it from its beginning.

    Yields:
        The journal, to be given to each ``Curve``.
    """
    folder = journal.begin(describe_run(**facts))
    with journal.held(folder, SECONDS_TO_HOLD):
        journal.mark(folder, journal.RUNNING)
        with _beside(_send_now_and_then, folder), _beside(_look, folder):
            try:
                yield folder
            except BaseException as error:
                was_stopped = isinstance(error, STOPPED)
                journal.mark(folder, journal.KILLED if was_stopped else journal.FAILED)
                raise
            journal.mark(folder, journal.ENDED)


@contextmanager
def _beside(work: Callable[[Path, threading.Event], None], folder: Path) -> Iterator[None]:
    """Do something in a thread until the body ends, and not much longer."""
    stop = threading.Event()
    thread = threading.Thread(target=work, args=(folder, stop), name=work.__name__, daemon=True)
    thread.start()
    patience = SECONDS_TO_END
    try:
        yield
    except STOPPED:
        patience = SECONDS_TO_STOP
        raise
    finally:
        stop.set()
        thread.join(patience)


def _send_now_and_then(folder: Path, stop: threading.Event) -> None:
    pause, is_away = SECONDS_BETWEEN, False
    while not stop.wait(pause):
        is_away = not _send(folder, tells=not is_away)
        pause = min(2 * pause, LONGEST_SECONDS_BETWEEN) if is_away else SECONDS_BETWEEN
    if not is_away:
        _send(folder, tells=False)


def _send(folder: Path, tells: bool) -> bool:
    """Send what there is; return whether MLflow took it."""
    try:
        with opened() as client, answer_within(SMALL_TIMEOUT_SECONDS):
            live_writer.send(client, folder)
    except Unreachable as error:
        reason = str(error)
    except errors() as error:
        reason = f"MLflow did not take {folder}: {first_line(error)}"
    else:
        return True
    if tells:
        say(f"warning: {reason}. Training goes on; its figures are kept, and sent later")
    return False


def _look(folder: Path, stop: threading.Event) -> None:
    """Note what the machine does, soon at first, then every few seconds."""
    curve, started, pause = Curve(folder, system.PREFIX), time.monotonic(), 1.0
    step = curve.next_step()
    system.figures()  # shares of CPU time are since the call before
    while not stop.wait(pause):
        curve.log(step, system.figures())
        journal.keep(folder)
        step += 1
        slowest = max(SYSTEM_SECONDS_BETWEEN, (time.monotonic() - started) / SYSTEM_SHARE)
        pause = min(2 * pause, slowest)
