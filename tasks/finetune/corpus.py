"""Which of the labelled records a training is given."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tasks.progress import say


def choose_few(
    ids: Sequence[str], labels: Sequence[str], wanted: int | float, seed: int
) -> np.ndarray:
    """Return the indices of the records that a few-label study trains on, ascending, int64.

    A smaller choice is contained in every larger one.

    Args:
        ids: of the records.
        labels: their classes.
        wanted: so many records of each class; or, below 1, such a share of them, at least one;
            0 for all.
        seed: the ``seed`` of ``params.yaml``.
    """
    if not wanted:
        return np.arange(len(ids))
    chosen: list[int] = []
    for indices in by_class(ids, labels, f"labels:{seed}").values():
        num_wanted = wanted if wanted >= 1 else max(1, int(wanted * len(indices) + 0.5))
        chosen += indices[: int(num_wanted)]
    return np.sort(np.array(chosen, dtype=np.int64))


def say_what_lacks(labels: Sequence[str], wanted: int | float) -> None:
    """Name the classes that have fewer records than are wanted; all of theirs are used."""
    for label, count in sorted(Counter(labels).items()):
        if count < wanted:
            say(f"labels: {wanted}, but the class {label!r} has {count} records: all are used")


def by_class(ids: Sequence[str], labels: Sequence[str], purpose: str) -> dict[str, list[int]]:
    """Return the indices of each class' records, in an order that only id and purpose decide.

    It is that of a hash, so it depends neither on the row nor on the order of the records.

    Args:
        ids: of the records.
        labels: their classes.
        purpose: another one gives another order.
    """

    def rank(index: int) -> tuple[bytes, int]:
        return hashlib.sha256(f"{purpose}:{ids[index]}".encode()).digest(), index

    indices: dict[str, list[int]] = {label: [] for label in sorted(set(labels))}
    for index in sorted(range(len(ids)), key=rank):
        indices[labels[index]].append(index)
    return indices
