"""Divides the records of one corpus."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.contracts.paths import PARTS, STATE, Part
from tasks.contracts.records import (
    ROWS_PER_GROUP,
    modality_of,
    read_batches,
    read_schema,
    split_schema,
    write_records,
)
from tasks.corpora.columns import columns_of, targets_of, with_fields
from tasks.errors import BadInput, one_of
from tasks.machine import memory
from tasks.machine.scratch import scratch_file
from tasks.progress import say
from tasks.split.assign import assign, part_by_hash, point
from tasks.split.settings import Settings

RANGE_BYTES = 64 * 2**20
"""Records are sorted in memory, one range of ids after the other, each of about this size."""


def run(records: Path, output: Path, settings: Settings, seed: int) -> dict[str, Any]:
    """Write ``train.parquet``, ``validation.parquet`` and ``test.parquet``, sorted by id.

    Args:
        records: the cleaned records.
        output: the folder to write into.
        settings: the shares.
        seed: the seed of ``params.yaml``.

    Returns:
        How many records were left out or moved, and why, by the setting that asked for it; empty
        where none did.

    Raises:
        BadInput: a split stays empty, a column is missing, or a date cannot be read.
        BadSettings: cuts are no dates.
    """
    found = read_schema(records)
    schema = with_fields(split_schema(modality_of(found)), targets_of(found))
    parts, reasons = assign_all(records, settings, seed)
    report = _counted(reasons)
    counts = {part: int((parts == number).sum()) for number, part in enumerate(PARTS)}
    for part, count in counts.items():
        if not count:
            raise BadInput(
                f"{records}: the {part} split stays empty, {len(parts):,} records gave "
                f"{', '.join(f'{name} {number:,}' for name, number in counts.items())}: "
                f"{_remedy(records, settings)}"
            )
    for number, part in enumerate(PARTS):
        wanted = parts == number
        write_records(output / f"{part}.parquet", schema, _sorted(records, wanted, schema))
    told = [f"{count:,} {part}" for part, count in counts.items()]
    for setting, found in report.items():
        told += [f"{count:,} {what} ({setting})" for what, count in found.items() if count]
    say(f"split: {', '.join(told)}")
    return report


def _remedy(records: Path, settings: Settings) -> str:
    if settings.by is not None:
        return "set other dates in split.cuts, or add records"
    if settings.group_by is not None:
        num_groups = len({*_values(records, settings.group_by)})
        return (
            f"{num_groups:,} groups of {settings.group_by!r} (split.group_by) are too few for "
            "these shares: set split.validation and split.test higher or lower"
        )
    return "set split.validation and split.test higher or lower, or add records"


def assign_all(
    records: Path, settings: Settings, seed: int
) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return for each record, in the file's order, its split as an index into ``PARTS``.

    Args:
        records: the cleaned records.
        settings: the shares, and what belongs together.
        seed: the seed of ``params.yaml``.

    Returns:
        The splits, and by each setting that moves records or leaves them out the splits before it
        and after.
    """
    parts, is_official = _by_rule(records, settings, seed)
    reasons: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    clusters: np.ndarray | None = None
    if settings.group_by is not None:
        from tasks.split import apart, groups

        keys = np.array(groups.keys(_each(records, settings.group_by)))
        before, parts = parts, apart.kept_apart(parts, is_official, keys)
        reasons["group_by"] = before, parts
    if settings.near_duplicates is not None:
        from tasks.split import apart, near

        clusters = near.cluster_of_each(records, settings.near_duplicates)
        before, parts = parts, apart.kept_apart(parts, is_official, clusters)
        reasons["near_duplicates"] = before, parts
    if settings.stratify:
        # After near-duplicates, which would leave out what was moved away from its like.
        before, parts = parts, _stratified(records, parts, settings, seed, clusters)
        reasons["stratify"] = before, parts
    return parts, reasons


def _counted(reasons: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, int]]:
    report: dict[str, dict[str, int]] = {}
    for reason, (before, after) in reasons.items():
        if reason == "stratify":
            report[reason] = {"moved": int((before != after).sum())}
        else:
            report[reason] = {
                f"left_out_of_{part}": int(((before == number) & (after != number)).sum())
                for number, part in enumerate(PARTS)
            }
    return report


def _by_rule(records: Path, settings: Settings, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each record's split by itself, and whether that is an official one, kept as it is."""
    existing = frozenset(
        part
        for batch in _columns(records, ["split"])
        for part in batch.column("split").unique().to_pylist()
        if part
    )
    numbers = np.empty(pq.read_metadata(records).num_rows, dtype=np.int8)
    is_official = np.zeros(len(numbers), dtype=bool)
    own_part, columns = _rule(records, settings, seed)
    start = 0
    for batch in _columns(records, ["id", "split", *columns]):
        for index, record in enumerate(batch.to_pylist(), start=start):
            official = record["split"]
            is_official[index] = official in ("validation", "test")
            part = official if is_official[index] else assign(official, own_part(record), existing)
            numbers[index] = PARTS.index(part)
        start += batch.num_rows
    return numbers, is_official


def _rule(
    records: Path, settings: Settings, seed: int
) -> tuple[Callable[[dict[str, Any]], Part], list[str]]:
    """Return what says where a record goes that has no official split, and the columns it reads."""
    validation, test = settings.validation, settings.test
    if settings.group_by is not None:
        from tasks.split.groups import part_by_group

        column = _known_column(records, settings.group_by, "group_by")
        return (
            lambda record: part_by_group(record[column], record["id"], seed, validation, test),
            [column],
        )
    if settings.by is not None:
        from tasks.split import dates

        column = _known_column(records, settings.by, "by")
        place = ["split", "source", "row", column]

        def read(record: dict[str, Any]) -> Any:
            return dates.read_date(record[column], f"{record['source']}, row {record['row']}")

        if settings.cuts is None:
            found = [
                read(record)
                for batch in _columns(records, place)
                for record in batch.to_pylist()
                if record["split"] in (None, "train")
            ]
            raise BadInput(
                f"split.by: {column}: set where validation and test begin; your shares would be "
                f"split.{dates.suggested(found, validation, test)}"
            )
        first_dates = dates.read_cuts(settings.cuts)
        return (lambda record: dates.part_by_date(read(record), *first_dates)), place[1:]
    return (lambda record: part_by_hash(record["id"], seed, validation, test)), []


def _known_column(records: Path, column: str, key: str) -> str:
    schema = read_schema(records)
    if (column, key) == ("text", "group_by") and modality_of(schema) == "text":
        return column
    targets = [field.name for field in targets_of(schema)]
    known = [name for name in columns_of(schema) if name not in targets]
    if column not in known:
        raise BadInput(
            f"{records} has no column {column!r} (setting split.{key}); "
            + (one_of(column, known) if known else "name it in `columns` of the corpus' sources")
        )
    return column


def _values(records: Path, column: str) -> list[Any]:
    return [*_each(records, column)]


def _each(records: Path, column: str) -> Iterator[Any]:
    for batch in _columns(records, [column]):
        yield from batch.column(0).to_pylist()


def _stratified(
    records: Path,
    parts: np.ndarray,
    settings: Settings,
    seed: int,
    clusters: np.ndarray | None,
) -> np.ndarray:
    from tasks.split.classes import stratified
    from tasks.split.strata import strata_of

    officials = _values(records, "split")
    existing = {*officials}
    test, validation = settings.test, settings.test + settings.validation
    ranges: dict[Part, tuple[float, float]] = {
        "train": (validation, 1.0),
        "validation": (test, validation),
        "test": (0.0, test),
    }
    return stratified(
        parts,
        np.array([point(identity, seed) for identity in _values(records, "id")]),
        strata_of(records),
        np.array([official in (None, "train") for official in officials], dtype=bool),
        {
            part: bounds
            for part, bounds in ranges.items()
            if part == "train" or part not in existing
        },
        clusters,
    )


def _columns(records: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(records, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=ROWS_PER_GROUP, columns=names)


def _sorted(records: Path, wanted: np.ndarray, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the wanted records in the order of their ids.

    Ids are hashes, hence evenly spread: the records of a large file are laid on the disk by ranges
    of first digits, so that only one range is in memory.
    """
    num_bytes = int(_num_bytes(records) * wanted.mean())
    num_ranges = min(256, 1 + num_bytes // memory.share(RANGE_BYTES))
    batches = _wanted(records, wanted, schema.names)
    tables = (
        [pa.Table.from_batches(batches, schema)]
        if num_ranges == 1
        else _by_range(batches, schema, num_ranges)
    )
    for table in tables:
        yield from table.sort_by([("id", "ascending"), ("label", "ascending")]).to_batches(
            max_chunksize=ROWS_PER_GROUP
        )


def _num_bytes(records: Path) -> int:
    """Return the size of the records when unpacked."""
    metadata = pq.read_metadata(records)
    return sum(
        metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
    )


def _wanted(records: Path, wanted: np.ndarray, columns: list[str]) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in read_batches(records):
        chosen = pa.array(wanted[start : start + batch.num_rows])
        start += batch.num_rows
        yield batch.filter(chosen).select(columns)


def _by_range(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, num_ranges: int
) -> Iterator[pa.Table]:
    """Yield the records of each range of ids, the lowest first; in each they keep their order."""
    with ExitStack() as opened:
        files = [opened.enter_context(scratch_file(STATE)) for _ in range(num_ranges)]
        writers = [pa.ipc.new_stream(file, schema) for file in files]
        for batch in batches:
            digits = pc.utf8_slice_codeunits(batch.column("id"), 0, 2).to_pylist()
            range_of = np.array([int(some, 16) for some in digits], dtype=int) * num_ranges // 256
            for number in np.unique(range_of).tolist():
                writers[number].write_batch(batch.filter(pa.array(range_of == number)))
        for writer, file in zip(writers, files, strict=True):
            writer.close()
            file.seek(0)
            yield pa.ipc.open_stream(file).read_all()
