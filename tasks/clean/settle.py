"""What is decided when all records were seen: labels by vote, near-duplicates, rare classes.

The records that stay so far lie in a file. Their ids, labels and splits are held, a reason is
written beside those that go, and only if there is any, the file is written once more.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.clean.repeated import PROTECTED, Conflicts, Rule
from tasks.clean.report import Report
from tasks.clean.settings import Settings
from tasks.contracts.records import (
    read_batches,
    read_columns,
    read_schema,
    write_records,
)
from tasks.errors import BadInput

if TYPE_CHECKING:
    from tasks.clean.near_duplicates import Compared

CHANGED_LABEL = "rare_class"
"""How the report names records whose label was changed."""
NEAR_DUPLICATE = "near_duplicate"
NONE = -1
_BYTES_AT_ONCE = 2**23


@dataclass
class Named:
    """A column of few different values: a number a record, and what each number stands for."""

    names: list[str | None]
    codes: np.ndarray

    def code_of(self, name: str | None) -> int:
        """Return the number of a value, a new one if no record has it yet."""
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)


class Standing:
    """The records that stay so far, in the file's order, and what becomes of them."""

    def __init__(self, path: Path) -> None:
        """Read labels and splits of a file's records."""
        self.path = path
        self.labels, self.splits = (named(path, column) for column in ("label", "split"))
        self.reasons = Named([], np.full(len(self), NONE, dtype=np.int32))
        self.new_labels = Named([], np.full(len(self), NONE, dtype=np.int32))
        self.stays: np.ndarray | None = None
        """The place of the record that stays for each one that goes for another, else ``NONE``."""

    def __len__(self) -> int:
        return len(self.labels.codes)

    def is_protected(self) -> np.ndarray:
        """Return which records no rule may drop or relabel."""
        return self.splits.codes == self.splits.code_of(PROTECTED)

    def is_open(self) -> np.ndarray:
        """Return which records stay so far and may be dropped or relabelled by a rule."""
        return (self.reasons.codes == NONE) & ~self.is_protected()

    def drop(self, places: np.ndarray, reason: str, stays: np.ndarray | None = None) -> None:
        """Let records go after all.

        Args:
            places: of the records.
            reason: why.
            stays: of each, the place of the record that stays in its place.
        """
        self.reasons.codes[places] = self.reasons.code_of(reason)
        if stays is not None:
            if self.stays is None:
                self.stays = np.full(len(self), NONE)
            self.stays[places] = stays

    def relabel(self, places: np.ndarray, label: str) -> None:
        """Give records another label."""
        self.new_labels.codes[places] = self.new_labels.code_of(label)


def named(path: Path, column: str) -> Named:
    """Return a column of few different values, as numbers."""
    number_of: dict[str | None, int] = {}
    codes = [np.zeros(0, dtype=np.int32)]
    for batch in read_columns(path, [column]):
        coded = batch.column(0).dictionary_encode(null_encoding="encode")
        numbers = [
            number_of.setdefault(name, len(number_of)) for name in coded.dictionary.to_pylist()
        ]
        codes.append(np.array(numbers, dtype=np.int32)[np.asarray(coded.indices)])
    return Named([*number_of], np.concatenate(codes))


def write_for_a_while(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write the records that stay so far, in a fifth of the time that the result takes.

    Args:
        path: a file that is gone once all is settled.
        schema: of the records.
        batches: these.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    few_values = [name for name in ("label", "split", "source") if name in schema.names]
    pending: list[pa.RecordBatch] = []
    num_bytes = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression="none",
        use_dictionary=few_values,
        write_statistics=False,
        store_schema=False,
    ) as writer:
        for batch in batches:
            pending.append(batch)
            num_bytes += batch.nbytes
            if num_bytes >= _BYTES_AT_ONCE:
                writer.write_table(pa.Table.from_batches(pending, schema))
                pending, num_bytes = [], 0
        if pending:
            writer.write_table(pa.Table.from_batches(pending, schema))


def settle(
    path: Path,
    cleaned: Path,
    conflicts: Conflicts,
    rule: Rule,
    settings: Settings,
    report: Report,
    compared: "Compared | None",
) -> None:
    """Drop and relabel what is decided over all records.

    Args:
        path: the records that stay so far; gone afterwards, unless it is ``cleaned``.
        cleaned: the file of those that stay in the end; if it is ``path``, nothing is open.
        conflicts: their contents, with how often each label was seen.
        rule: what becomes of equal contents with several labels.
        settings: how to clean.
        report: where what goes is counted.
        compared: the records that stay so far, where near-duplicates are looked for.

    Raises:
        BadInput: a content has several labels, and the rule is ``error``.
    """
    num_conflicts = conflicts.seen.num_conflicts()
    if settings.label_conflicts is not None or num_conflicts:
        report.note("label_conflicts", {"rule": rule, "contents": num_conflicts})
    if path == cleaned:
        return
    standing = Standing(path)
    if num_conflicts:
        _settle_labels(standing, conflicts, rule)
    if settings.near_duplicates is not None and compared is not None:
        from tasks.clean.near_duplicates import drop_near_duplicates

        found = drop_near_duplicates(standing, settings.near_duplicates, compared)
        report.note("near_duplicates", found)
    if settings.rare_classes is not None:
        from tasks.clean.rare_classes import settle_rare_classes

        report.note("rare_classes", settle_rare_classes(standing, settings.rare_classes))
    schema = read_schema(path)
    write_records(cleaned, schema, _settled(standing, schema, report))
    path.unlink()


def _settle_labels(standing: Standing, conflicts: Conflicts, rule: Rule) -> None:
    place = 0
    seen = conflicts.seen
    for batch in read_columns(standing.path, ["id", "split", "label", *conflicts.targets]):
        columns = (batch.column(name).to_pylist() for name in ("id", "split", "label"))
        for identity, split, label, told in zip(*columns, conflicts.told(batch), strict=True):
            if rule == "error" and seen.is_contradicted(identity, split):
                raise BadInput(_contradiction(standing, identity, split, conflicts.targets))
            vote = conflicts.vote(label, told)
            reason = seen.reason_to_drop_after_all(identity, split, vote)
            if reason is not None:
                standing.drop(np.array([place]), reason)
            place += 1


def _contradiction(standing: Standing, identity: str, split: str | None, targets: list[str]) -> str:
    """Return the message that names the records of one content with several labels.

    Args:
        standing: the records that stay so far.
        identity: the sha256 of the content.
        split: the official split of these records.
        targets: the columns that heads learn.
    """
    said = ["label", *targets]
    equal = [
        f"{record['source']}, row {record['row']} ({', '.join(values)})"
        for batch in read_columns(standing.path, ["id", "split", "source", "row", *said])
        for record in batch.to_pylist()
        if (record["id"], record["split"]) == (identity, split)
        and (values := [f"{record[name]}"[:40] for name in said if record[name] is not None])
    ]
    what = "labels or targets" if targets else "labels"
    return (
        f"equal contents with several {what}: {'; '.join(equal[:3])}: mend the source, or set "
        "clean.label_conflicts to majority, drop or first"
    )


def _settled(standing: Standing, schema: pa.Schema, report: Report) -> Iterator[pa.RecordBatch]:
    reasons, new_labels = standing.reasons, standing.new_labels
    origin_of = _origins(standing)
    start = 0
    for batch in read_batches(standing.path):
        of_batch = slice(start, start + batch.num_rows)
        is_touched = (reasons.codes[of_batch] != NONE) | (new_labels.codes[of_batch] != NONE)
        numbers = np.flatnonzero(is_touched)
        origins = batch.select(["split", "source", "row"]).take(pa.array(numbers)).to_pylist()
        labels = batch.column("label").to_pylist()
        for number, record in zip(numbers.tolist(), origins, strict=True):
            place = start + number
            if reasons.codes[place] != NONE:
                reason = str(reasons.names[reasons.codes[place]])
                report.drop_kept(reason, **record, of=origin_of(place))
            else:
                labels[number] = new_labels.names[new_labels.codes[place]]
                report.change(CHANGED_LABEL, record["source"], record["row"])
        column = batch.schema.get_field_index("label")
        relabelled = batch.set_column(column, schema.field("label"), pa.array(labels, pa.string()))
        yield relabelled.filter(pa.array(reasons.codes[of_batch] == NONE))
        start += batch.num_rows


def _origins(standing: Standing) -> Callable[[int], tuple[str, int] | None]:
    """Return what tells source and row of the record that stays, by the place of one that goes."""
    stays = standing.stays
    if stays is None:
        return lambda _: None
    sources = named(standing.path, "source")
    rows = np.concatenate(
        [np.asarray(batch.column(0)) for batch in read_columns(standing.path, ["row"])]
    )

    def origin_of(place: int) -> tuple[str, int] | None:
        stay = int(stays[place])
        return None if stay == NONE else (str(sources.names[sources.codes[stay]]), int(rows[stay]))

    return origin_of
