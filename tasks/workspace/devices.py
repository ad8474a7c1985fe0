"""Which device a training may use: a file lock by index, held by the stage's own process.

The lock is taken before torch is imported and dies with the process (also after kill -9), so that
the flow and a bare ``dvc repro`` obey the same one. Without a GPU there is one training slot.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from tasks.contracts import paths
from tasks.progress import say

POLL_SECONDS = 0.5


def device_indexes() -> list[str]:
    """Return the GPUs this process may use, found without importing torch; ``["cpu"]`` if none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [index.strip() for index in visible.split(",") if index.strip()] or ["cpu"]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ["cpu"]
    return listed.stdout.split() or ["cpu"]


@contextmanager
def device_lease() -> Iterator[str]:
    """Hold one device until the body ends, waiting for a free one.

    ``CUDA_VISIBLE_DEVICES`` is set to it, so that no library of the stage sees another.
    """
    folder = paths.STATE / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    lock, index = _wait_for_free({index: folder / f"{index}.lock" for index in device_indexes()})
    try:
        if index != "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = index
        yield index
    finally:
        lock.release()


def _wait_for_free(locks: dict[str, os.PathLike[str]]) -> tuple[FileLock, str]:
    told = False
    while True:
        for index, path in locks.items():
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            return lock, index
        if not told:
            say(f"waiting for a free device (all {len(locks)} in use)")
            told = True
        time.sleep(POLL_SECONDS)
