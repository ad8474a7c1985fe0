"""Classes with too few records to learn from: dropped, made one, or told."""

from typing import Any

import numpy as np

from tasks.clean.settings import RareClasses
from tasks.clean.settle import NONE, Standing

OTHER = "other"
"""The class that rare ones become."""


def settle_rare_classes(standing: Standing, settings: RareClasses) -> dict[str, Any]:
    """Drop or relabel the records of rare classes; those of an official test split stay.

    Args:
        standing: the records that stay so far.
        settings: what is rare, and what becomes of it.

    Returns:
        The rare classes, each with its number of records outside an official test split; and where
        there are any, the classes that stay in that split alone, with their records there.
    """
    is_open = standing.is_open()
    codes, names = standing.labels.codes, standing.labels.names
    rare = {
        label: count
        for label, count in _counted(names, codes[is_open]).items()
        if count < settings.fewer_than and not (settings.then == "other" and label == OTHER)
    }
    is_rare = is_open & np.isin(codes, [code for code, label in enumerate(names) if label in rare])
    if settings.then == "drop":
        standing.drop(np.flatnonzero(is_rare), "rare_class")
    elif settings.then == "other":
        standing.relabel(np.flatnonzero(is_rare), OTHER)
    told = {"then": settings.then, "classes": dict(sorted(rare.items()))}
    alone = _in_test_alone(standing)
    return {**told, "in_test_alone": alone} if alone else told


def _in_test_alone(standing: Standing) -> dict[str, int]:
    """Return the classes that only an official test split has, which nothing can learn."""
    is_open, relabelled = standing.is_open(), standing.new_labels
    is_new = relabelled.codes != NONE
    codes, names = standing.labels.codes, standing.labels.names
    elsewhere = {
        *_counted(names, codes[is_open & ~is_new]),
        *_counted(relabelled.names, relabelled.codes[is_open & is_new]),
    }
    tested = _counted(names, codes[standing.is_protected()])
    return {label: count for label, count in sorted(tested.items()) if label not in elsewhere}


def _counted(names: list[str | None], codes: np.ndarray) -> dict[str, int]:
    """Return how many records each class has, without those that have none."""
    counts = np.bincount(codes, minlength=len(names)).tolist()
    return {
        name: count for name, count in zip(names, counts, strict=True) if name is not None and count
    }
