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

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import BadInput

Modality = Literal["text", "image"]
ROWS_PER_GROUP = 10_000


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
    pending = schema.empty_table()
    for batch in batches:
        pending = pa.concat_tables([pending, pa.Table.from_batches([batch], schema)])
        while pending.num_rows >= ROWS_PER_GROUP:
            yield pending.slice(0, ROWS_PER_GROUP).combine_chunks()
            pending = pending.slice(ROWS_PER_GROUP)
    if pending.num_rows:
        yield pending.combine_chunks()


def read_schema(path: Path) -> pa.Schema:
    """Return the columns of a record file without reading its records."""
    return pq.read_schema(path)


def read_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the records of a file in constant memory."""
    # pre_buffer would keep the whole compressed file in memory.
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=ROWS_PER_GROUP)


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Return all records of a file, or some columns of them."""
    return pq.read_table(path, columns=columns)
