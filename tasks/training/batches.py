"""Which examples stand in batch *t*: a pure function of (seed, *t*).

An epoch is a permutation of the examples. Within stretches of some batches the examples are
sorted by length, so that a batch's sequences are of like length and little is computed on padding;
the batches of a stretch are then shuffled again.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tasks.training.determinism import derive_seed

BATCHES_PER_STRETCH = 16


class BatchOrder:
    """The order of the examples of a training."""

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = min(batch_size, len(lengths))
        self._seed = seed
        self._epoch = lru_cache(maxsize=1)(self._shuffle)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every example stands once; the last one may be short."""
        return -(-len(self._lengths) // self._batch_size)

    def indices(self, step: int) -> np.ndarray:
        """Return the examples of batch ``step``, counted from 0 over all epochs."""
        epoch, place = divmod(step, self.steps_per_epoch)
        return self._epoch(epoch)[place]

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.default_rng(derive_seed(self._seed, "epoch", epoch))
        order = generator.permutation(len(self._lengths))
        stretch = self._batch_size * BATCHES_PER_STRETCH
        batches: list[np.ndarray] = []
        for start in range(0, len(order), stretch):
            part = order[start : start + stretch]
            part = part[np.argsort(self._lengths[part], kind="stable")]
            cut = [part[i : i + self._batch_size] for i in range(0, len(part), self._batch_size)]
            batches += [cut[place] for place in generator.permutation(len(cut))]
        return batches
