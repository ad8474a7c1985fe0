"""A stage that trains, told to MLflow while it runs.

    training thread --MetricLog--> journal --thread--> MLflow
    every few seconds: CPU, memory --+

The training appends lines to a file, and waits for nobody. A thread sends them, with short
time-outs, and less often while the server is away. What is left at the end is sent with the run's
record, or by the next command.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Unpack

from tasks.errors import Preempted, Unreachable
from tasks.machine.gpus import query_gpus
from tasks.progress import say
from tasks.tracking.runs import journal
from tasks.tracking.runs.metric_log import MetricLog
from tasks.tracking.runs.runs import Facts, describe_run
from tasks.tracking.store import SMALL_TIMEOUT_SECONDS, answer_within, opened

STOPPED = (Preempted, KeyboardInterrupt, SystemExit)
SECONDS_BETWEEN = 5.0
LONGEST_SECONDS_BETWEEN = 60.0
"""While the server is away."""
SECONDS_TO_END = 15.0
SECONDS_TO_STOP = 2.0
"""After SIGTERM, as whoever sent it waits: what is not sent yet is kept, and sent later."""
SECONDS_TO_HOLD = 30.0
"""Others hold a journal only to see that nobody does."""
SYSTEM_PREFIX = "system/"
"""So the names begin that MLflow's own pages show in a tab of their own."""
SYSTEM_SECONDS_BETWEEN = 10.0
SYSTEM_SHARE = 1000
"""In long trainings, this part of the time lies between two readings: the journal stays small."""
GPU_TIMEOUT_SECONDS = 5
MEGABYTE = 1e6


@contextmanager
def live_run(**facts: Unpack[Facts]) -> Iterator[Path]:
    """Tell MLflow of a training while the body runs; ``record_run`` completes the same run.

    Args:
        facts: what is known of it from its beginning.

    Yields:
        The journal, to be given to each ``MetricLog``.
    """
    folder = journal.begin(describe_run(**facts))
    with journal.held(folder, SECONDS_TO_HOLD):
        journal.mark(folder, journal.RUNNING)
        with _beside(_send_repeatedly, folder), _beside(_log_system, folder):
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
    timeout_seconds = SECONDS_TO_END
    try:
        yield
    except STOPPED:
        timeout_seconds = SECONDS_TO_STOP
        raise
    finally:
        stop.set()
        thread.join(timeout_seconds)


def _send_repeatedly(folder: Path, stop: threading.Event) -> None:
    pause, is_away = SECONDS_BETWEEN, False
    while not stop.wait(pause):
        is_away = not _send(folder, warns=not is_away)
        pause = min(2 * pause, LONGEST_SECONDS_BETWEEN) if is_away else SECONDS_BETWEEN
    if not is_away:
        _send(folder, warns=False)


def _send(folder: Path, warns: bool) -> bool:
    """Send what there is; return whether MLflow took it."""
    try:
        with opened() as client, answer_within(SMALL_TIMEOUT_SECONDS):
            journal.send(client, folder)
    except Unreachable as error:
        if warns:
            say(f"warning: {error}. Training goes on; its metrics are kept, and sent later")
        return False
    return True


def _log_system(folder: Path, stop: threading.Event) -> None:
    """Log what the machine does, soon at first, then every few seconds."""
    log, started, pause = MetricLog(folder, SYSTEM_PREFIX), time.monotonic(), 1.0
    step = log.next_step()
    system_metrics()  # shares of CPU time are since the call before
    while not stop.wait(pause):
        log.log(step, system_metrics())
        journal.keep(folder)
        step += 1
        slowest = max(SYSTEM_SECONDS_BETWEEN, (time.monotonic() - started) / SYSTEM_SHARE)
        pause = min(2 * pause, slowest)


def system_metrics() -> dict[str, float]:
    """Return CPU, memory and, where there are any, GPUs; shares of time since the call before."""
    import psutil  # type: ignore[import-untyped]

    memory = psutil.virtual_memory()
    return {
        "cpu_utilization_percentage": psutil.cpu_percent(),
        "system_memory_usage_megabytes": memory.used / MEGABYTE,
        "system_memory_usage_percentage": memory.percent,
        "stage_memory_usage_megabytes": _own_memory() / MEGABYTE,
        **_gpus(),
    }


def _own_memory() -> int:
    """Return the bytes that this process and its ranks hold in memory."""
    import psutil

    process = psutil.Process()
    total = 0
    for member in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):  # it has ended meanwhile
            total += member.memory_info().rss
    return total


def _gpus() -> dict[str, float]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible == "":
        return {}
    columns = "utilization.gpu,memory.used,memory.total"
    rows = query_gpus(columns, only=visible or "", timeout_seconds=GPU_TIMEOUT_SECONDS)
    try:
        values = [[float(cell) for cell in row] for row in rows]
    except ValueError:
        return {}
    metrics = {}
    for number, (busy, used, total) in enumerate(values):
        metrics[f"gpu_{number}_utilization_percentage"] = busy
        metrics[f"gpu_{number}_memory_usage_megabytes"] = used * 2**20 / MEGABYTE
        metrics[f"gpu_{number}_memory_usage_percentage"] = 100 * used / total
    return metrics
