"""Counts what ``clean`` keeps and drops, so that no record vanishes unnamed."""

from collections import Counter
from typing import Any

REASONS = ("empty", "too_short", "too_long", "duplicate", "duplicate_other_label")
EXAMPLES_PER_REASON = 5
# How a record without an official split is listed.
NO_SPLIT = "none"


class Report:
    """What became of every record."""

    def __init__(self) -> None:
        self._kept: Counter[str] = Counter()
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._examples: dict[str, list[dict[str, Any]]] = {}

    def keep(self, split: str | None) -> None:
        """Count a record that stays."""
        self._kept[split or NO_SPLIT] += 1

    def drop(self, reason: str, split: str | None, source: str, row: int) -> None:
        """Count a record that goes, and list the first of each reason.

        Args:
            reason: one of ``REASONS``.
            split: its official split.
            source: where it comes from.
            row: its number there, from 1.
        """
        self._dropped[reason, split or NO_SPLIT] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES_PER_REASON:
            examples.append({"source": source, "row": row})

    def dropped(self) -> dict[str, int]:
        """Return how many records were dropped for each reason."""
        return {
            reason: sum(count for (why, _), count in self._dropped.items() if why == reason)
            for reason in REASONS
        }

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``report.json``."""
        splits = sorted({*self._kept, *(split for _, split in self._dropped)})
        records_out, dropped = self._kept.total(), self.dropped()
        return {
            "records_in": records_out + sum(dropped.values()),
            "records_out": records_out,
            "dropped": dropped,
            "examples": {reason: self._examples.get(reason, []) for reason in REASONS},
            "splits": {split: self._of(split) for split in splits},
        }

    def _of(self, split: str) -> dict[str, Any]:
        dropped = {reason: self._dropped[reason, split] for reason in REASONS}
        return {
            "records_in": self._kept[split] + sum(dropped.values()),
            "records_out": self._kept[split],
            "dropped": dropped,
        }
