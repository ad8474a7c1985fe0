"""``split.group_by``: the split of a record by its group, so that an author is in one split alone.

A group lies on the line of ``tasks.split.assign`` by the hash of its value: the records of another
group never move it. A record without a value is a group of its own.
"""

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


def keys(groups: list[str | None]) -> list[int]:
    """Return a number for the group of each record; a record without one has its own."""
    numbers: dict[str, int] = {}
    return [
        -1 - index if group is None else numbers.setdefault(group, len(numbers))
        for index, group in enumerate(groups)
    ]
