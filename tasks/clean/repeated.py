"""Equal contents: which of them stays, and with which label where they have several."""

import hashlib
from collections import Counter
from typing import Literal

Rule = Literal["majority", "drop", "first", "error"]
PROTECTED = "test"
"""The official split that loses no record and no label to any rule but that of exact repeats."""


class Seen:
    """The contents seen so far, each with its first label; 16 bytes a record, not the record."""

    def __init__(self, rule: Rule = "first") -> None:
        """Begin with none.

        Args:
            rule: what becomes of equal contents with several labels. By ``first``, only the first
                is kept; by any other, one of each label is, until all were seen.
        """
        self._rule = rule
        self._labels: dict[bytes, str | None] = {}
        # Of contents that repeat: how often with each label.
        self._votes: dict[bytes, Counter[str | None]] = {}

    def reason_to_drop(self, identity: str, split: str | None, label: str | None) -> str | None:
        """Return why a record is dropped, or nothing; then it counts as seen.

        Args:
            identity: the sha256 of its content.
            split: its official split; the same content in another one is no duplicate.
            label: its class.
        """
        key = _key(identity, split)
        if key not in self._labels:
            self._labels[key] = label
            return None
        if self._rule == "first" or split == PROTECTED:
            return "duplicate" if self._labels[key] == label else "duplicate_other_label"
        votes = self._votes.setdefault(key, Counter({self._labels[key]: 1}))
        votes[label] += 1
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


def _key(identity: str, split: str | None) -> bytes:
    return hashlib.sha256(f"{split}:{identity}".encode()).digest()[:16]
