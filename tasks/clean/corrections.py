"""A person's corrections, applied to the labels of cleaned records, and counted."""

from collections import Counter
from collections.abc import Callable
from typing import Any

OUTCOMES = ("applied", "already_so", "kept_in_test", "no_such_record")
"""What became of a correction; a record that stands twice counts twice."""


class Corrections:
    """The corrections of a corpus."""

    def __init__(self, labels: dict[str, str], clean_label: Callable[[str], str | None]) -> None:
        """Take the corrections over.

        Args:
            labels: the corrected label of each record, by its id.
            clean_label: what ``clean`` does to a label.
        """
        self._labels = {identity: clean_label(label) for identity, label in labels.items()}
        self._found: set[str] = set()
        self._counts: Counter[str] = Counter()

    def apply(self, record: dict[str, Any]) -> None:
        """Correct the label of a cleaned record in place, but in an official test split."""
        identity = record.get("id")
        if identity not in self._labels:
            return
        self._found.add(identity)
        if record["label"] == self._labels[identity]:
            self._counts["already_so"] += 1
        elif record["split"] == "test":
            self._counts["kept_in_test"] += 1
        else:
            record["label"] = self._labels[identity]
            self._counts["applied"] += 1

    def counts(self) -> dict[str, int]:
        """Return what became of them; empty where there are none."""
        if not self._labels:
            return {}
        missing = len(self._labels) - len(self._found)
        return {
            outcome: missing if outcome == "no_such_record" else self._counts[outcome]
            for outcome in OUTCOMES
        }
