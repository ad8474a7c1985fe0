"""Classes with too few records to learn from: dropped, made one, or told."""

from collections import Counter
from typing import Any

from tasks.clean.repeated import PROTECTED
from tasks.clean.settings import RareClasses
from tasks.clean.settle import Standing

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
    places = standing.open_places()
    counts = Counter(standing.labels[place] for place in places)
    rare = {
        label: count
        for label, count in counts.items()
        if label is not None and count < settings.fewer_than
    }
    if settings.then == "other":
        rare.pop(OTHER, None)
    for place in places:
        if standing.labels[place] in rare:
            if settings.then == "drop":
                standing.reasons[place] = "rare_class"
            elif settings.then == "other":
                standing.new_labels[place] = OTHER
    told = {"then": settings.then, "classes": dict(sorted(rare.items()))}
    alone = _in_test_alone(standing)
    return {**told, "in_test_alone": alone} if alone else told


def _in_test_alone(standing: Standing) -> dict[str, int]:
    """Return the classes that only an official test split has, which nothing can learn."""
    elsewhere = {
        standing.new_labels.get(place, standing.labels[place]) for place in standing.open_places()
    }
    tested = Counter(
        label
        for label, split in zip(standing.labels, standing.splits, strict=True)
        if split == PROTECTED and label is not None and label not in elsewhere
    )
    return dict(sorted(tested.items()))
