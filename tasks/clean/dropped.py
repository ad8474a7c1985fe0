"""Every record that was dropped or changed, for people: told anew by the same code.

The outputs of ``clean`` hold counts and examples. What became of each record follows from the
records as found and the settings, so it needs no output of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tasks.clean.report import Report
from tasks.clean.settings import Settings
from tasks.clean.stage import clean
from tasks.contracts.records import read_batches

Place = tuple[str, int]
"""A record's source, and its row there."""


@dataclass(frozen=True)
class Touched:
    """A record that was dropped or changed."""

    reason: str
    place: Place
    of: Place | None
    """The record that stayed in its place, where that is known."""


class Listing(Report):
    """A report that lists every record that it counts but those that stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: list[Touched] = []

    def drop(
        self, reason: str, split: str | None, source: str, row: int, of: Place | None = None
    ) -> None:
        """Count and list a record that goes; the arguments are those of ``Report``."""
        super().drop(reason, split, source, row, of)
        self.touched.append(Touched(reason, (source, row), of))

    def change(self, reason: str, source: str, row: int) -> None:
        """Count and list a record that is changed; the arguments are those of ``Report``."""
        super().change(reason, source, row)
        self.touched.append(Touched(reason, (source, row), None))


def listed(records: Path, settings: Settings, folder: Path) -> Listing:
    """Clean records and throw the result away; return what became of every record.

    Args:
        records: the records as found.
        settings: how they were cleaned.
        folder: where there is room for the cleaned records, for a while.
    """
    listing = Listing()
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder) as temporary:
        clean(records, Path(temporary) / "records.parquet", settings, listing)
    return listing


def as_found(records: Path, places: Iterable[Place]) -> dict[Place, dict[str, Any]]:
    """Return the records of some places as they were found."""
    wanted = set(places)
    found: dict[Place, dict[str, Any]] = {}
    for batch in read_batches(records):
        origins = batch.select(["source", "row"]).to_pylist()
        at = [(origin["source"], origin["row"]) for origin in origins]
        chosen = [number for number, place in enumerate(at) if place in wanted]
        for number, record in zip(chosen, batch.take(chosen).to_pylist(), strict=True):
            found[at[number]] = record
        if len(found) == len(wanted):
            break
    return found
