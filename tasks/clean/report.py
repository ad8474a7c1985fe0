"""Counts what ``clean`` keeps, drops and changes, so that no record vanishes unnamed."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

REASONS = ("empty", "too_short", "too_long", "duplicate", "duplicate_other_label")
"""Those that need no setting; they are always in the report."""
EXAMPLES_PER_REASON = 5
# How a record without an official split is listed.
NO_SPLIT = "none"


class Report:
    """What became of every record."""

    def __init__(self, more_reasons: Iterable[str] = ()) -> None:
        """Begin with no record.

        Args:
            more_reasons: those that the settings ask for; others are named once they are counted.
        """
        self._reasons = [*REASONS, *more_reasons]
        self._kept: Counter[str] = Counter()
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._examples: dict[str, list[dict[str, Any]]] = {}
        self._changed: Counter[str] = Counter()
        self._changed_examples: dict[str, list[dict[str, Any]]] = {}
        self._notes: dict[str, Any] = {}

    def keep(self, split: str | None) -> None:
        """Count a record that stays."""
        self._kept[split or NO_SPLIT] += 1

    def drop(
        self,
        reason: str,
        split: str | None,
        source: str,
        row: int,
        of: tuple[str, int] | None = None,
    ) -> None:
        """Count a record that goes, and list the first of each reason.

        Args:
            reason: why.
            split: its official split.
            source: where it comes from.
            row: its number there, from 1.
            of: source and row of the record that stays in its place, where that is known.
        """
        if reason not in self._reasons:
            self._reasons.append(reason)
        self._dropped[reason, split or NO_SPLIT] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES_PER_REASON:
            examples.append(_example(source, row, of))

    def drop_kept(
        self,
        reason: str,
        split: str | None,
        source: str,
        row: int,
        of: tuple[str, int] | None = None,
    ) -> None:
        """Count a record that goes after all, though it was counted as one that stays.

        Args:
            reason: why.
            split: its official split.
            source: where it comes from.
            row: its number there, from 1.
            of: source and row of the record that stays in its place, where that is known.
        """
        self._kept[split or NO_SPLIT] -= 1
        self.drop(reason, split, source, row, of)

    def change(self, reason: str, source: str, row: int) -> None:
        """Count a record that is changed by more than its repair, whether it stays or not.

        Args:
            reason: why.
            source: where it comes from.
            row: its number there, from 1.
        """
        self._changed[reason] += 1
        examples = self._changed_examples.setdefault(reason, [])
        if len(examples) < EXAMPLES_PER_REASON:
            examples.append(_example(source, row, None))

    def note(self, key: str, value: Any) -> None:
        """Add what else is to be said of the whole corpus."""
        self._notes[key] = value

    def num_kept(self) -> int:
        """Return how many records stay."""
        return self._kept.total()

    def dropped(self) -> dict[str, int]:
        """Return how many records were dropped for each reason."""
        return {
            reason: sum(count for (why, _), count in self._dropped.items() if why == reason)
            for reason in self._reasons
        }

    def as_json(self) -> dict[str, Any]:
        """Return the content of ``report.json``."""
        splits = sorted({*self._kept, *(split for _, split in self._dropped)})
        records_out, dropped = self._kept.total(), self.dropped()
        report = {
            "records_in": records_out + sum(dropped.values()),
            "records_out": records_out,
            "dropped": dropped,
            "examples": {reason: self._examples.get(reason, []) for reason in self._reasons},
            "splits": {split: self._of(split) for split in splits},
        }
        if self._changed:
            report["changed"] = dict(sorted(self._changed.items()))
            report["changed_examples"] = dict(sorted(self._changed_examples.items()))
        return {**report, **self._notes}

    def _of(self, split: str) -> dict[str, Any]:
        dropped = {reason: self._dropped[reason, split] for reason in self._reasons}
        return {
            "records_in": self._kept[split] + sum(dropped.values()),
            "records_out": self._kept[split],
            "dropped": dropped,
        }


def _example(source: str, row: int, of: tuple[str, int] | None) -> dict[str, Any]:
    example: dict[str, Any] = {"source": source, "row": row}
    return example if of is None else {**example, "of": {"source": of[0], "row": of[1]}}
