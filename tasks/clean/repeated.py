"""Equal contents: which of them stays, and with which label where they have several."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa

Rule = Literal["majority", "drop", "first", "error"]
PROTECTED = "test"
"""The official split that loses no record and no label to any rule but that of exact repeats."""

MOST_IN_DICT = 200_000
# Compared byte by byte. Not `S16`, which takes a zero at the end for nothing.
_KEY = np.dtype("V16")


class Seen:
    """The contents seen so far, each with its first label; 20 bytes a record, not the record."""

    def __init__(self, rule: Rule = "first", most_in_dict: int = MOST_IN_DICT) -> None:
        """Begin with none.

        Args:
            rule: what becomes of equal contents with several labels. By ``first``, only the first
                is kept; by any other, one of each label is, until all were seen.
            most_in_dict: how many contents are looked up in a dict, which takes 150 bytes for each;
                the others lie sorted.
        """
        self._rule = rule
        self._first_labels = _FirstLabels(most_in_dict)
        # Of contents that repeat: how often with each label, and the ids of those with several.
        self._votes: dict[bytes, Counter[str | None]] = {}
        self._contradicted: set[str] = set()

    def reason_to_drop(self, identity: str, split: str | None, label: str | None) -> str | None:
        """Return why a record is dropped, or nothing; then it counts as seen.

        Args:
            identity: the sha256 of its content.
            split: its official split; the same content in another one is no duplicate.
            label: its class.
        """
        key = _key(identity, split)
        is_new, first_label = self._first_labels.of(key, label)
        if is_new:
            return None
        if self._rule == "first" or split == PROTECTED:
            return "duplicate" if first_label == label else "duplicate_other_label"
        votes = self._votes.setdefault(key, Counter({first_label: 1}))
        votes[label] += 1
        if len(votes) > 1:
            self._contradicted.add(identity)
        return "duplicate" if votes[label] > 1 else None

    def num_conflicts(self) -> int:
        """Return how many contents were seen with several labels, of which one may stay."""
        return sum(len(votes) > 1 for votes in self._votes.values())

    def reason_to_drop_after_all(
        self, identity: str, split: str | None, label: str | None
    ) -> str | None:
        """Return why a record that was kept until all were seen is dropped, or nothing.

        Args:
            identity: the sha256 of its content.
            split: its official split.
            label: its class; none is no vote against one.
        """
        if identity not in self._contradicted:
            return None
        votes = self._votes.get(_key(identity, split), Counter())
        if len(votes) < 2:
            return None
        labelled = [(count, name) for name, count in votes.items() if name is not None]
        if len(labelled) == 1:
            return None if label is not None else "duplicate_other_label"
        if self._rule == "drop":
            return "label_conflict"
        most = max(count for count, _ in labelled)
        winners = [name for count, name in labelled if count == most]
        if len(winners) > 1:
            return "label_tie"
        return None if label == winners[0] else "duplicate_other_label"

    def is_contradicted(self, identity: str, split: str | None) -> bool:
        """Tell whether a content has two labels or more, none not being one."""
        votes = self._votes.get(_key(identity, split), Counter())
        return len([label for label in votes if label is not None]) > 1


class Conflicts:
    """Equal contents of which two say something else: another label, or another target of a head.

    By ``majority``, ``drop`` and ``error``, where they are asked for, label and targets are one
    vote. Else labels alone are voted on, the first record stays whatever its targets are, and those
    that had others are counted.
    """

    def __init__(self, rule: Rule, targets: Sequence[str], *, is_asked_for: bool) -> None:
        """Begin with none seen.

        Args:
            rule: what becomes of equal contents with several labels.
            targets: the columns that heads learn.
            is_asked_for: the rule stands in the settings.
        """
        self.targets = list(targets)
        self.seen = Seen(rule)
        self._are_voted_on = bool(targets) and is_asked_for and rule != "first"
        self._targets_seen = Seen() if targets and not self._are_voted_on else None

    def told(self, batch: pa.RecordBatch) -> list[str | None]:
        """Return what tells the targets of each record apart, nothing where it has none."""
        if not self.targets:
            return [None] * batch.num_rows
        return [
            None
            if all(value is None for value in record.values())
            else hashlib.blake2b(repr(record).encode(), digest_size=8).hexdigest()
            for record in batch.select(self.targets).to_pylist()
        ]

    def vote(self, label: str | None, told: str | None) -> str | None:
        """Return what is voted on: the label of a record, with its targets perhaps."""
        return label if told is None or not self._are_voted_on else f"{label or ''}\0{told}"

    def reason_to_drop(
        self, identity: str, split: str | None, label: str | None, told: str | None
    ) -> str | None:
        """Return why a record is dropped, or nothing; then it counts as seen.

        Args:
            identity: the sha256 of its content.
            split: its official split.
            label: its class.
            told: its targets, from ``told``.
        """
        reason = self.seen.reason_to_drop(identity, split, self.vote(label, told))
        if self._targets_seen is not None:
            is_other = self._targets_seen.reason_to_drop(identity, split, told)
            if reason == "duplicate" and is_other == "duplicate_other_label":
                return "duplicate_other_target"
        return reason


def _key(identity: str, split: str | None) -> bytes:
    return hashlib.sha256(f"{split}:{identity}".encode()).digest()[:16]


class _FirstLabels:
    """The label of each content where it was first seen: the latest in a dict, the rest sorted."""

    def __init__(self, most_in_dict: int) -> None:
        self._most_in_dict = most_in_dict
        self._latest: dict[bytes, int] = {}
        self._keys = np.zeros(0, dtype=_KEY)
        self._numbers = np.zeros(0, dtype=np.int32)
        self._number_of: dict[str | None, int] = {}
        self._labels: list[str | None] = []

    def of(self, key: bytes, label: str | None) -> tuple[bool, str | None]:
        """Return whether a content is new, and the label that it was first seen with."""
        number = self._latest.get(key)
        if number is None and len(self._keys):
            number = self._sorted_number(key)
        if number is not None:
            return False, self._labels[number]
        if label not in self._number_of:
            self._number_of[label] = len(self._labels)
            self._labels.append(label)
        self._latest[key] = self._number_of[label]
        if len(self._latest) >= self._most_in_dict:
            self._sort()
        return True, label

    def _sorted_number(self, key: bytes) -> int | None:
        place = int(self._keys.searchsorted(np.frombuffer(key, _KEY)[0]))
        if place < len(self._keys) and self._keys[place].tobytes() == key:
            return int(self._numbers[place])
        return None

    def _sort(self) -> None:
        keys = np.frombuffer(b"".join(self._latest), _KEY)
        self._keys = np.concatenate((self._keys, keys))
        numbers = np.fromiter(self._latest.values(), np.int32, len(self._latest))
        self._latest = {}
        order = np.argsort(self._keys)
        self._keys = self._keys[order]
        self._numbers = np.concatenate((self._numbers, numbers))[order]
