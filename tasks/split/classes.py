"""``split.stratify``: a rare class is in train, test and validation, as far as it has records.

By their hashes alone, a class of five records has none in test every third time. Where a class
lacks one in a split, the record whose hash lies nearest to that split's range goes there: first
train, then test, then validation, and never the last one of a split before. So only records of
classes that have too few move at all.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from tasks.contracts.paths import PARTS, Part

ORDER: tuple[Part, ...] = ("train", "test", "validation")


def stratified(
    parts: np.ndarray,
    points: np.ndarray,
    labels: Sequence[str | None],
    may_move: np.ndarray,
    ranges: dict[Part, tuple[float, float]],
) -> np.ndarray:
    """Return the splits with rare classes in as many of them as they have records for.

    Args:
        parts: for each record its split, as an index into ``PARTS``.
        points: for each record where it lies between 0 and 1 (``tasks.split.assign``).
        labels: its class.
        may_move: which records have no official split, or come from an official train.
        ranges: the splits that records may be moved into, with where they begin and end.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        if label is not None:
            members[label].append(index)
    result = parts.copy()
    for indices in members.values():
        if len({*result[indices]}) < len(PARTS):
            _fill(result, points, [index for index in indices if may_move[index]], indices, ranges)
    return result


def _fill(
    parts: np.ndarray,
    points: np.ndarray,
    movable: list[int],
    members: list[int],
    ranges: dict[Part, tuple[float, float]],
) -> None:
    """Move records of one class in place.

    Args:
        parts: of all records.
        points: of all records.
        movable: the records of the class that may move.
        members: all records of the class.
        ranges: as in :func:`stratified`.
    """
    for position, part in enumerate(ORDER):
        counts = Counter(PARTS[number] for number in parts[members])
        if part not in ranges or counts[part]:
            continue
        before = ORDER[:position]
        spare = [
            index
            for index in movable
            if PARTS[parts[index]] not in before or counts[PARTS[parts[index]]] > 1
        ]
        if spare:
            first, last = ranges[part]
            nearest = min(
                spare,
                key=lambda index: (max(first - points[index], points[index] - last), points[index]),
            )
            parts[nearest] = PARTS.index(part)
