"""Few-label studies: which records of each class a model is trained on.

A record's turn is the hash of its id and the seed. So the choice does not depend on the row, nor on
the order of the records, and a smaller one is contained in every larger one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tasks.progress import say


def choose(ids: Sequence[str], labels: Sequence[str], wanted: int | float, seed: int) -> np.ndarray:
    """Return the places of the chosen records, ascending, int64.

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
    for places in by_class(ids, labels, f"labels:{seed}").values():
        num_wanted = wanted if wanted >= 1 else max(1, int(wanted * len(places) + 0.5))
        chosen += places[: int(num_wanted)]
    return np.sort(np.array(chosen, dtype=np.int64))


def say_what_lacks(labels: Sequence[str], wanted: int | float) -> None:
    """Name the classes that have fewer records than are wanted; all of theirs are used."""
    for label, count in sorted(Counter(labels).items()):
        if count < wanted:
            say(f"labels: {wanted}, but the class {label!r} has {count} records: all are used")


def by_class(ids: Sequence[str], labels: Sequence[str], purpose: str) -> dict[str, list[int]]:
    """Return each class' records (their places), in an order that only id and purpose decide.

    Args:
        ids: of the records.
        labels: their classes.
        purpose: another one gives another order.
    """

    def turn(place: int) -> tuple[bytes, int]:
        return hashlib.sha256(f"{purpose}:{ids[place]}".encode()).digest(), place

    places: dict[str, list[int]] = {label: [] for label in sorted(set(labels))}
    for place in sorted(range(len(ids)), key=turn):
        places[labels[place]].append(place)
    return places
