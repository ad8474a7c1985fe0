"""Which devices a training may use: a file lock by index, held by the stage's own process.

The locks are taken before torch is imported and die with the process (also after kill -9), so that
the flow and a bare ``dvc repro`` obey the same ones. Without a GPU there is one training slot,
however many processes train in it.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.contracts import paths
from tasks.errors import BadInput
from tasks.machine.gpus import query_gpus
from tasks.progress import say

POLL_SECONDS = 0.5
NO_GPU = ["cpu"]


def device_indexes() -> list[str]:
    """Return the GPUs this process may use, found without importing torch; ``["cpu"]`` if none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        indexes = [index.strip() for index in visible.split(",") if index.strip()]
        # As CUDA reads it: -1 hides itself and what follows.
        shown = takewhile(lambda index: index != "-1", indexes)
        return list(dict.fromkeys(shown)) or NO_GPU
    return [row[0] for row in query_gpus("index")] or NO_GPU


@contextmanager
def device_lease(name: str, wanted: int) -> Iterator[list[str]]:
    """Hold so many devices until the body ends, waiting until they are free at once.

    ``CUDA_VISIBLE_DEVICES`` is set to them, so that no library of the stage sees another.

    Args:
        name: the stage, for the error.
        wanted: how many; without a GPU it is the one slot.

    Raises:
        BadInput: there are fewer GPUs.
    """
    indexes = device_indexes()
    wanted = 1 if indexes == NO_GPU else wanted
    if wanted > len(indexes):
        raise BadInput(
            f"params.yaml: {name} asks for devices: {wanted}, but may use {len(indexes)} GPUs here "
            f"({', '.join(indexes)}): lower it, or run on a larger machine"
        )
    locks = _wait_for_free(indexes, wanted)
    try:
        if indexes != NO_GPU:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(locks)
        yield list(locks)
    finally:
        for lock in locks.values():
            lock.release()


def _wait_for_free(indexes: list[str], wanted: int) -> dict[str, FileLock]:
    folder = paths.STATE / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    told = False
    while not (locks := _take_free(folder, indexes, wanted)):
        if not told:
            say(f"waiting for {wanted} of {len(indexes)} devices to be free")
            told = True
        time.sleep(POLL_SECONDS)
    return locks


def _take_free(folder: Path, indexes: list[str], wanted: int) -> dict[str, FileLock]:
    """Take so many devices, or none: nobody holds some while waiting for others."""
    taken: dict[str, FileLock] = {}
    # One process at a time, or two could take a half each and give it back for ever.
    with FileLock(folder / "choosing.lock"):
        for index in indexes:
            lock = FileLock(folder / f"{index}.lock")
            with suppress(Timeout):
                lock.acquire(timeout=0)
                taken[index] = lock
            if len(taken) == wanted:
                return taken
        for lock in taken.values():
            lock.release()
    return {}
