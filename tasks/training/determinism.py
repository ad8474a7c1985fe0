"""What makes a training give the same bytes again.

Batch *t* is a pure function of (seed, *t*), and so is everything random at step *t*: each example
of a batch has random numbers of its own, so that it does not matter how a batch is spread over
devices; dropout follows torch's. The number of threads changes the weights, so it is one for the
workspace (``threads`` in ``params.yaml``), never derived from how many stages run at once.
"""

from __future__ import annotations

import hashlib
import os

from tasks.contracts.params import THREADS_VARIABLE

NUM_THREADS = 2
"""Of a process that computes with torch, where ``params.yaml`` has no ``threads``."""


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a seed of its own for each purpose, stable over runs and machines.

    Args:
        seed: the ``seed`` of ``params.yaml``.
        names: what it is for, for example a row's name and a step.
    """
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def make_deterministic(seed: int, num_ranks: int = 1) -> None:
    """Fix torch's threads, algorithms and random numbers for this process.

    Args:
        seed: of torch's own random numbers, from which weights are drawn.
        num_ranks: processes that share this machine's cores.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(max(1, int(os.environ.get(THREADS_VARIABLE, NUM_THREADS)) // num_ranks))
    # As use_deterministic_algorithms, which imports torch's compiler as well and takes a second.
    torch.set_deterministic_debug_mode("error")
    # It is there to find bugs: filling all memory before it is written takes a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)
