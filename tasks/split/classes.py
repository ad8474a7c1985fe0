"""``split.stratify``: a rare class is in train, test and validation, as far as it has records.

By their hashes alone, a class of five records has none in test every third time. Where a class
lacks one in a split, the record whose hash lies nearest to that split's range goes there: first
train, then test, then validation, and never the last one of a split before. So only records of
classes that have too few move at all. Where near-duplicates stay in one split, so do they here: a
cluster of one class moves as a whole, and one of several classes not at all.
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
    clusters: np.ndarray | None = None,
) -> np.ndarray:
    """Return the splits with rare classes in as many of them as they have records for.

    Args:
        parts: for each record its split, as an index into ``PARTS``, or below 0: it is in none.
        points: for each record where it lies between 0 and 1 (``tasks.split.assign``).
        labels: its class.
        may_move: which records have no official split, or come from an official train.
        ranges: the splits that records may be moved into, with where they begin and end.
        clusters: a number for each record; those with the same number, each cluster in one split
            so far, move together. Without them each moves alone.
    """
    members: dict[str, list[int]] = defaultdict(list)
    together: dict[int, list[int]] = defaultdict(list)
    cluster_of = np.arange(len(parts)) if clusters is None else clusters
    for index in np.flatnonzero(parts >= 0).tolist():
        together[int(cluster_of[index])].append(index)
        label = labels[index]
        if label is not None:
            members[label].append(index)
    result = parts.copy()
    for label, indices in members.items():
        if len({*result[indices]}) < len(PARTS):
            units = [together[number] for number in sorted({*cluster_of[indices].tolist()})]
            movable = [
                unit
                for unit in units
                if all(may_move[index] and labels[index] == label for index in unit)
            ]
            _fill(result, points, movable, indices, ranges)
    return result


def _fill(
    parts: np.ndarray,
    points: np.ndarray,
    movable: list[list[int]],
    members: list[int],
    ranges: dict[Part, tuple[float, float]],
) -> None:
    """Move records of one class in place.

    Args:
        parts: of all records.
        points: of all records.
        movable: the records of the class that may move; each list together.
        members: all records of the class.
        ranges: as in :func:`stratified`.
    """
    for position, part in enumerate(ORDER):
        counts = Counter(PARTS[number] for number in parts[members])
        if part not in ranges or counts[part]:
            continue
        before = ORDER[:position]
        spare = [
            unit
            for unit in movable
            if PARTS[parts[unit[0]]] not in before or counts[PARTS[parts[unit[0]]]] > len(unit)
        ]
        if spare:
            first, last = ranges[part]
            # Of records that move together, the one nearest to the split stands for all.
            nearest = min(
                spare,
                key=lambda unit: min(
                    (max(first - points[index], points[index] - last), points[index])
                    for index in unit
                ),
            )
            parts[nearest] = PARTS.index(part)
