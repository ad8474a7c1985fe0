"""``split.group_by``: the split of a record by its group, so that an author is in one split alone.

A group lies on the line of ``tasks.split.assign`` by the hash of its value: the records of another
group never move it. A record without a value is a group of its own.
"""

import hashlib
from collections.abc import Iterable

from tasks.contracts.paths import Part
from tasks.split.assign import part_by_hash


def part_by_group(
    group: str | None, identity: str, seed: int, validation: float, test: float
) -> Part:
    """Return the split of a record that has no official one.

    Args:
        group: the value of its column.
        identity: the sha256 of its content.
        seed: the seed of ``params.yaml``.
        validation: share of groups for validation.
        test: share of groups for test.
    """
    name = identity if group is None else f"group:{group}"
    return part_by_hash(name, seed, validation, test)


def keys(groups: Iterable[str | None]) -> list[int]:
    """Return a number for the group of each record; a record without one has its own."""
    numbers: dict[bytes, int] = {}
    return [
        -1 - index if group is None else numbers.setdefault(_digest(group), len(numbers))
        for index, group in enumerate(groups)
    ]


def _digest(group: str) -> bytes:
    """Return what a group is known by: where it is a text, all of them would be in memory."""
    return hashlib.blake2b(group.encode(), digest_size=16).digest()
