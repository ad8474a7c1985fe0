"""Divides the records of one corpus."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.contracts.paths import PARTS
from tasks.contracts.records import (
    ROWS_PER_GROUP,
    modality_of,
    read_batches,
    read_schema,
    split_schema,
    write_records,
)
from tasks.errors import BadInput
from tasks.progress import say
from tasks.split.assign import assign, part_by_hash
from tasks.split.settings import Settings

# Records are sorted in memory, one range of ids after the other, each of about this size.
RANGE_BYTES = 128 * 2**20


def run(records: Path, output: Path, settings: Settings, seed: int) -> None:
    """Write ``train.parquet``, ``validation.parquet`` and ``test.parquet``, sorted by id.

    Args:
        records: the cleaned records.
        output: the folder to write into.
        settings: the shares.
        seed: the seed of ``params.yaml``.

    Raises:
        BadInput: a split stays empty.
    """
    schema = split_schema(modality_of(read_schema(records)))
    parts = _assign_all(records, settings, seed)
    counts = {part: int((parts == number).sum()) for number, part in enumerate(PARTS)}
    for part, count in counts.items():
        if not count:
            raise BadInput(
                f"{records}: the {part} split stays empty, {len(parts):,} records gave "
                f"{', '.join(f'{name} {number:,}' for name, number in counts.items())}: "
                "set split.validation and split.test higher or lower, or add records"
            )
    for number, part in enumerate(PARTS):
        wanted = parts == number
        write_records(output / f"{part}.parquet", schema, _sorted(records, wanted, schema))
    say(f"split: {', '.join(f'{count:,} {part}' for part, count in counts.items())}")


def _assign_all(records: Path, settings: Settings, seed: int) -> np.ndarray:
    """Return for each record, in the file's order, its split as an index into ``PARTS``."""
    existing = frozenset(
        part
        for batch in _columns(records, ["split"])
        for part in batch.column("split").unique().to_pylist()
        if part
    )
    numbers = np.empty(pq.read_metadata(records).num_rows, dtype=np.int8)
    start = 0
    for batch in _columns(records, ["id", "split"]):
        for index, record in enumerate(batch.to_pylist(), start=start):
            by_hash = part_by_hash(record["id"], seed, settings.validation, settings.test)
            numbers[index] = PARTS.index(assign(record["split"], by_hash, existing))
        start += batch.num_rows
    return numbers


def _columns(records: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(records, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=ROWS_PER_GROUP, columns=names)


def _sorted(records: Path, wanted: np.ndarray, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the wanted records in the order of their ids.

    Ids are hashes, hence evenly spread: a large file is read once for each range of first digits,
    so that only one range is in memory.
    """
    num_bytes = int(_num_bytes(records) * wanted.mean())
    num_ranges = min(256, 1 + num_bytes // RANGE_BYTES)
    for number in range(num_ranges):
        first, last = 256 * number // num_ranges, 256 * (number + 1) // num_ranges
        batches = list(_in_range(records, wanted, schema.names, first, last))
        table = pa.Table.from_batches(batches, schema)
        yield from table.sort_by([("id", "ascending"), ("label", "ascending")]).to_batches(
            max_chunksize=ROWS_PER_GROUP
        )


def _num_bytes(records: Path) -> int:
    """Return the size of the records when unpacked."""
    metadata = pq.read_metadata(records)
    return sum(
        metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
    )


def _in_range(
    records: Path, wanted: np.ndarray, columns: list[str], first: int, last: int
) -> Iterator[pa.RecordBatch]:
    lowest, above = f"{first:02x}", f"{last:02x}" if last < 256 else "g"
    start = 0
    for batch in read_batches(records):
        ids = batch.column("id")
        inside = pc.and_(pc.greater_equal(ids, lowest), pc.less(ids, above))
        chosen = pc.and_(inside, pa.array(wanted[start : start + batch.num_rows]))
        start += batch.num_rows
        yield batch.filter(chosen).select(columns)
