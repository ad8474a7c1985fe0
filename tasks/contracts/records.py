"""The Parquet tables that the data stages hand to each other.

A corpus is text or images, never both. Its columns, in this order:

==========  ==========================  =====================================================
column      written by                  holds
==========  ==========================  =====================================================
id          clean, split                sha256 (hex) of the cleaned content, without its label
text        all, in a text corpus       the text
image       all, in an image corpus     an encoded image (PNG from ``clean`` on)
label       all                         the class name; null where the record has none
split       collect, clean              the source's official split; null where it has none
source      collect, clean              which source and file the record comes from
row         collect, clean              its position there, counted from 1
==========  ==========================  =====================================================

Files are written with fixed row groups and no timestamps, so that equal records give equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.errors import BadInput

Modality = Literal["text", "image"]
ROWS_PER_GROUP = 10_000
BYTES_PER_GROUP = 2**26
"""A group of larger records has fewer: one of them at least."""


def collected_schema(modality: Modality) -> pa.Schema:
    """Return the columns of ``data/collect/<corpus>/records.parquet``."""
    return pa.schema([_content(modality), _label(), *_origin()])


def cleaned_schema(modality: Modality) -> pa.Schema:
    """Return the columns of ``data/clean/<corpus>/records.parquet``."""
    return pa.schema([_id(), _content(modality), _label(), *_origin()])


def split_schema(modality: Modality) -> pa.Schema:
    """Return the columns of ``data/split/<corpus>/{train,validation,test}.parquet``."""
    return pa.schema([_id(), _content(modality), _label()])


# Functions, not constants: nothing of Arrow is loaded for those who only import this module.
def _content(modality: Modality) -> pa.Field:
    return pa.field(modality, pa.string() if modality == "text" else pa.binary())


def _id() -> pa.Field:
    return pa.field("id", pa.string())


def _label() -> pa.Field:
    return pa.field("label", pa.string())


def _origin() -> list[pa.Field]:
    columns = {"split": pa.string(), "source": pa.string(), "row": pa.int64()}
    return [pa.field(name, kind) for name, kind in columns.items()]


def modality_of(schema: pa.Schema) -> Modality:
    """Tell a text table from an image table.

    Raises:
        BadInput: the table has neither a ``text`` nor an ``image`` column.
    """
    if "text" in schema.names:
        return "text"
    if "image" in schema.names:
        return "image"
    raise BadInput(f"expected a column 'text' or 'image', found {', '.join(schema.names)}")


def write_records(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write record batches to one Parquet file; equal records give equal bytes.

    Batches are regrouped, so that the file does not depend on how they were cut.

    Args:
        path: the file; its folder is made.
        schema: one of the three above.
        batches: the records, in the order in which they are written.

    Returns:
        The number of records written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    num_records = 0
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for group in _regroup(schema, batches):
            writer.write_table(group, row_group_size=ROWS_PER_GROUP)
            num_records += group.num_rows
    return num_records


def _regroup(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield groups of ``ROWS_PER_GROUP``, or of the records that come to ``BYTES_PER_GROUP``."""
    pending: list[pa.RecordBatch] = []
    num_rows = num_bytes = 0
    for batch in batches:
        total = np.cumsum(_sizes(batch))
        start = 0
        while start < batch.num_rows:
            before = int(total[start - 1]) if start else 0
            enough = int(np.searchsorted(total, before + BYTES_PER_GROUP - num_bytes)) + 1
            end = min(batch.num_rows, start + ROWS_PER_GROUP - num_rows, enough)
            pending.append(batch.slice(start, end - start))
            num_rows += end - start
            num_bytes += int(total[end - 1]) - before
            start = end
            if num_rows == ROWS_PER_GROUP or num_bytes >= BYTES_PER_GROUP:
                yield pa.Table.from_batches(pending, schema).combine_chunks()
                pending, num_rows, num_bytes = [], 0, 0
    if pending:
        yield pa.Table.from_batches(pending, schema).combine_chunks()


def _sizes(batch: pa.RecordBatch) -> np.ndarray:
    """Return the bytes of the content of each record; 0 in a table that has none."""
    if not {"text", "image"} & {*batch.schema.names}:
        return np.zeros(batch.num_rows, np.int64)
    content = batch.column(modality_of(batch.schema)).cast(pa.binary())
    return np.asarray(pc.fill_null(pc.binary_length(content), 0)).astype(np.int64)


def read_schema(path: Path) -> pa.Schema:
    """Return the columns of a record file without reading its records."""
    return pq.read_schema(path)


def num_records(path: Path) -> int:
    """Return how many records a file has."""
    return int(pq.read_metadata(path).num_rows)


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the records of a file in constant memory."""
    yield from read_columns(path)


def read_columns(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a file's records, all of them without ``columns``."""
    # pre_buffer would keep the whole compressed file in memory.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        # Group by group: a batch would else have as many rows, however large their groups are.
        for group in range(file.num_row_groups):
            yield from file.iter_batches(ROWS_PER_GROUP, [group], columns)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Return all records of a file, or some columns of them."""
    return pq.read_table(path, columns=columns)
