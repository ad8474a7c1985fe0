"""The split of one record: a pure function of its content and the seed.

    0            test          test + validation                        1
    |--- test ---|--- validation ---|-------------- train --------------|

The hash of a record is its point on this line, so that each class is divided in nearly the same
proportions (as by chance, not exactly), and no record's split depends on another record.
"""

import hashlib

from tasks.contracts.paths import Part


def point(identity: str, seed: int) -> float:
    """Return where a record lies between 0 and 1.

    Args:
        identity: the sha256 of its content.
        seed: the seed of ``params.yaml``.
    """
    digest = hashlib.sha256(f"split:{seed}:{identity}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def part_by_hash(identity: str, seed: int, validation: float, test: float) -> Part:
    """Return the split of a record that has no official one.

    Args:
        identity: the sha256 of its content.
        seed: the seed of ``params.yaml``.
        validation: share of records for validation.
        test: share of records for test.
    """
    position = point(identity, seed)
    if position < test:
        return "test"
    return "validation" if position < test + validation else "train"


def assign(official: Part | None, by_hash: Part, official_parts: frozenset[Part]) -> Part:
    """Return the split of a record.

    Args:
        official: its official split.
        by_hash: its split by :func:`part_by_hash`.
        official_parts: the official splits of the whole corpus: what is missing among them is
            taken from the official train, and nothing is ever moved into one that exists.
    """
    if official is None:
        return by_hash
    if official == "train" and by_hash not in official_parts:
        return by_hash
    return official
