"""What is decided when all records were seen: labels by vote, near-duplicates, rare classes.

The records that stay so far lie in a file. Their ids, labels and splits are held, a reason is
written beside those that go, and only if there is any, the file is written once more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from tasks.clean.repeated import PROTECTED, Rule, Seen
from tasks.clean.report import Report
from tasks.clean.settings import Settings
from tasks.contracts.records import (
    read_batches,
    read_schema,
    read_table,
    write_records,
)
from tasks.errors import BadInput

CHANGED_LABEL = "rare_class"
"""How the report names records whose label was changed."""


@dataclass
class Standing:
    """The records that stay so far, in the file's order, and what becomes of them."""

    path: Path
    ids: list[str]
    labels: list[str | None]
    splits: list[str | None]
    reasons: dict[int, str] = field(default_factory=dict)
    """Why a record goes after all, by its place."""
    stays: dict[int, int] = field(default_factory=dict)
    """Which record stays in its place."""
    new_labels: dict[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Standing":
        """Return the records of a file."""
        table = read_table(path, columns=["id", "label", "split"])
        return cls(path, *(table.column(name).to_pylist() for name in table.column_names))

    def open_places(self) -> list[int]:
        """Return the places of records that stay so far and that a rule may drop or relabel."""
        return [
            place
            for place, split in enumerate(self.splits)
            if split != PROTECTED and place not in self.reasons
        ]


def settle(
    path: Path,
    seen: Seen,
    rule: Rule,
    settings: Settings,
    report: Report,
    bands: pa.ChunkedArray,
) -> None:
    """Drop and relabel what is decided over all records.

    Args:
        path: the records that stay so far; written anew if any of them goes or changes.
        seen: their contents, with how often each label was seen.
        rule: what becomes of equal contents with several labels.
        settings: how to clean.
        report: where what goes is counted.
        bands: what finds near-duplicates of each record that stays so far.

    Raises:
        BadInput: a content has several labels, and the rule is ``error``.
    """
    num_conflicts = seen.num_conflicts()
    if settings.label_conflicts is not None or num_conflicts:
        report.note("label_conflicts", {"rule": rule, "contents": num_conflicts})
    is_open = (num_conflicts, settings.near_duplicates, settings.rare_classes)
    if not any(is_open):
        return
    standing = Standing.read(path)
    if num_conflicts:
        _settle_labels(standing, seen, rule)
    if settings.near_duplicates is not None:
        from tasks.clean.near_duplicates import drop_near_duplicates

        found = drop_near_duplicates(standing, settings.near_duplicates, bands)
        report.note("near_duplicates", found)
    if settings.rare_classes is not None:
        from tasks.clean.rare_classes import settle_rare_classes

        report.note("rare_classes", settle_rare_classes(standing, settings.rare_classes))
    if standing.reasons or standing.new_labels:
        _write(standing, report)


def _settle_labels(standing: Standing, seen: Seen, rule: Rule) -> None:
    records = zip(standing.ids, standing.splits, standing.labels, strict=True)
    for place, (identity, split, label) in enumerate(records):
        if rule == "error" and seen.is_contradicted(identity, split):
            raise BadInput(_contradiction(standing, identity, split))
        reason = seen.reason_to_drop_after_all(identity, split, label)
        if reason is not None:
            standing.reasons[place] = reason


def _contradiction(standing: Standing, identity: str, split: str | None) -> str:
    """Return the message that names the records of one content with several labels."""
    origins = read_table(standing.path, columns=["source", "row"]).to_pylist()
    equal = [
        f"{origin['source']}, row {origin['row']} ({label})"
        for origin, other, part, label in zip(
            origins, standing.ids, standing.splits, standing.labels, strict=True
        )
        if (other, part) == (identity, split) and label is not None
    ]
    return (
        f"equal contents with several labels: {'; '.join(equal[:3])}: mend the source, or set "
        "clean.label_conflicts to majority, drop or first"
    )


def _write(standing: Standing, report: Report) -> None:
    schema = read_schema(standing.path)
    settled = standing.path.with_name(f"{standing.path.name}.settled")
    write_records(settled, schema, _settled(standing, schema, report))
    settled.replace(standing.path)


def _settled(standing: Standing, schema: pa.Schema, report: Report) -> Iterator[pa.RecordBatch]:
    origins = _origins(standing)
    start = 0
    for batch in read_batches(standing.path):
        places = range(start, start + batch.num_rows)
        start += batch.num_rows
        origin = batch.select(["split", "source", "row"]).to_pylist()
        for place in places:
            record = origin[place - places.start]
            if place in standing.reasons:
                of = origins.get(place)
                report.drop_kept(standing.reasons[place], **record, of=of)
            elif place in standing.new_labels:
                report.change(CHANGED_LABEL, record["source"], record["row"])
        labels = [standing.new_labels.get(place, standing.labels[place]) for place in places]
        column = batch.schema.get_field_index("label")
        relabelled = batch.set_column(column, schema.field("label"), pa.array(labels, pa.string()))
        yield relabelled.filter(pa.array([place not in standing.reasons for place in places]))


def _origins(standing: Standing) -> dict[int, tuple[str, int]]:
    """Return source and row of what stays, by the place of what goes for it."""
    if not standing.stays:
        return {}
    table = read_table(standing.path, columns=["source", "row"])
    sources, rows = table.column("source"), table.column("row")
    return {
        place: (sources[stays].as_py(), rows[stays].as_py())
        for place, stays in standing.stays.items()
    }
