"""Which runs are under way in this workspace: many may be, unless parameters are to change.

A run holds ``.downstream/run.lock`` shared, an edit of ``params.yaml`` by ``--set`` alone. The lock
goes with its process, also after kill -9.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from filelock import Timeout

from tasks.contracts import paths
from tasks.errors import StageFailed
from tasks.machine.locks import file_lock
from tasks.stage_process.kept_results import LOCKS

RUN_LOCK = paths.STATE / "run.lock"


@contextmanager
def active_run() -> Iterator[None]:
    """Be one of the runs of this workspace; waits while parameters are being changed."""
    with _opened() as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


@contextmanager
def no_active_run() -> Iterator[None]:
    """Keep runs from starting until the body ends.

    Raises:
        StageFailed: a run is active, of ours or of ``dvc repro``.
    """
    with _opened() as descriptor, ExitStack() as held:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageFailed(
                "--set: another `downstream run` is active in this workspace, whose results would "
                "belong to neither state of params.yaml: wait for its end, or stop it"
            ) from None
        for path in sorted(LOCKS.glob("*.lock")):
            try:
                held.enter_context(file_lock(path, timeout=0))
            except Timeout:
                raise StageFailed(
                    f"--set: {path.stem} is running in this workspace (`dvc repro`?), and its "
                    "result would belong to neither state of params.yaml: wait for it, or stop it"
                ) from None
        yield


@contextmanager
def _opened() -> Iterator[int]:
    RUN_LOCK.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(RUN_LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
