"""What makes a training give the same bytes again.

Batch *t* is a pure function of (seed, *t*), and so is everything random at step *t*: masking by a
numpy generator, dropout by torch's. The number of threads changes the weights, so it is one
constant of the workspace, never derived from how many stages run at once.
"""

from __future__ import annotations

import hashlib
import os

import numpy as np

NUM_THREADS = 2


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a seed of its own for each purpose, stable over runs and machines.

    Args:
        seed: the ``seed`` of ``params.yaml``.
        names: what it is for, for example a row's name and a step.
    """
    text = "/".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def make_deterministic(seed: int) -> None:
    """Fix torch's threads, algorithms and random numbers for this process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(NUM_THREADS)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)


def step_generator(seed: int, step: int) -> np.random.Generator:
    """Return the random numbers of one step, and set torch's to the same step."""
    import torch

    torch.manual_seed(derive_seed(seed, "step", step))
    return np.random.default_rng([seed, step])
