"""Rows of Parquet files, a batch at a time.

A few bytes of Parquet can stand for very much: a page that packs well, or one value that a million
rows name. So what a file would take is told from its own structure before it is unpacked, a batch
has as few rows as its largest value asks for, and a file yields no more than an archive of its
size may.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from tasks.collect.sources._columns import (
    RECORD_BYTES,
    Row,
    TableSettings,
    as_label,
    check_columns,
    others_of,
    text_in,
)
from tasks.collect.sources._parquet_pages import pages
from tasks.contracts.images import check
from tasks.errors import BadInput
from tasks.remote.members import Member

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

_BATCH_ROWS = 1_000
_BATCH_BYTES = 128 * 2**20


def rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield text or image, and label, of each row.

    Raises:
        BadInput: the file is damaged, lacks a column, unpacks to absurd sizes, or a value is
            neither text nor image.
    """
    # A plan reads the settings of every source; it needs no Arrow.
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Parquet is read from its end; what comes out of an archive is laid down for that.
    with member.open() as file, tempfile.TemporaryFile() as laid_down:
        if not file.seekable():
            shutil.copyfileobj(file, laid_down)
        seekable: IO[bytes] = file if file.seekable() else laid_down
        try:
            with pq.ParquetFile(seekable, pre_buffer=False) as table:
                columns = _columns(table.schema_arrow, settings, member.name)
                batch_rows = _batch_rows(seekable, table, columns, member)
                for row, values in enumerate(_values(table, columns, batch_rows, member), start=1):
                    where = f"{member.name}: row {row}"
                    label = values[settings.label] if settings.label else None
                    content = _content(values, settings, where)
                    others = others_of(settings, values, where)
                    yield Row(content, as_label(label, where), others)
        except (pa.ArrowException, OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise BadInput(
                f"{member.name} is not a Parquet file that can be read: {reason:.300}"
            ) from None


def _columns(schema: pa.Schema, settings: TableSettings, name: str) -> list[str]:
    """Return the columns to read, of an image kept with its path the bytes alone."""
    import pyarrow as pa

    check_columns(settings, schema.names, name)
    content = schema.field(settings.content).type
    columns = [settings.content]
    if settings.image and pa.types.is_struct(content):
        if "bytes" not in content.names:
            raise BadInput(f"{name}: column {settings.image!r} has no bytes of images: {content}")
        columns, content = [f"{settings.image}.bytes"], content.field("bytes").type
    has_tokens = "tokens" in (settings.targets or ())
    kinds = [(settings.content, _of_one_value(content) if has_tokens else content)]
    if settings.label:
        columns.append(settings.label)
        kinds.append((settings.label, schema.field(settings.label).type))
    for key, column in settings.other_columns():
        # Of a column that is the label too, the values are read once.
        columns += [column] if column not in columns else []
        kind = schema.field(column).type
        kinds.append((column, kind if key == "columns" else _of_one_value(kind)))
    for column, kind in kinds:
        if not _is_plain(kind):
            wanted = "the bytes of an image" if settings.image else "text"
            raise BadInput(
                f"{name}: expected {wanted} and one class a record, or numbers and lists of texts "
                f"as targets, found {kind!s:.80} in the column {column!r}"
            )
    return columns


def _of_one_value(kind: pa.DataType) -> pa.DataType:
    """Return the type of a list's values, or the type itself."""
    from pyarrow import types

    is_list = types.is_list(kind) or types.is_large_list(kind)
    return kind.value_type if is_list else kind


def _is_plain(kind: pa.DataType) -> bool:
    """Tell types whose values take no more memory than their bytes in the file: no lists."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    many_bytes = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(is_one(kind) for is_one in (*texts, *many_bytes, types.is_primitive, types.is_null))


def _batch_rows(file: IO[bytes], table: ParquetFile, columns: list[str], member: Member) -> int:
    """Return how many rows a batch may have: each may hold all bytes that values share.

    Raises:
        BadInput: the columns would become more than a file of that size may.
        ValueError: a page is none.
    """
    member.require_honest(table.metadata.num_rows * RECORD_BYTES)
    paths = [table.schema.column(n).path for n in range(len(table.schema))]
    leaves = {n for n, path in enumerate(paths) if path in columns or path.split(".")[0] in columns}
    largest, unpacked = 1, 0
    for page in pages(file, leaves):
        unpacked += page.unpacked_bytes
        member.require_honest(unpacked)
        if page.shares_bytes:
            largest = max(largest, page.unpacked_bytes)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // largest))


def _values(
    table: ParquetFile, columns: list[str], batch_rows: int, member: Member
) -> Iterator[dict[str, Any]]:
    num_rows = 0
    for batch in table.iter_batches(batch_size=batch_rows, columns=columns):
        yield from values_of(batch, num_rows, member.name)
        num_rows += batch.num_rows


def values_of(batch: pa.RecordBatch | pa.Table, before: int, name: str) -> list[dict[str, Any]]:
    """Return the rows of a batch.

    Args:
        batch: some rows of a file.
        before: how many rows come before them.
        name: the file, for messages.

    Raises:
        BadInput: a text is not UTF-8, which Arrow does not check when it reads.
    """
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        row = next(number for number in range(batch.num_rows) if not _is_utf8(batch, number))
        raise BadInput(
            f"{name}: row {before + row + 1} is not UTF-8: write the file with UTF-8 texts"
        ) from None


def _is_utf8(batch: pa.RecordBatch | pa.Table, row: int) -> bool:
    try:
        batch.slice(row, 1).to_pylist()
    except UnicodeDecodeError:
        return False
    return True


def _content(values: dict[str, Any], settings: TableSettings, where: str) -> str | bytes:
    if settings.image:
        return image_bytes(values[settings.image], where)
    return text_in(settings, values, where)


def image_bytes(value: Any, where: str) -> bytes:
    """Return an encoded image, plain or as ``datasets`` keeps it (``{"bytes": …}``).

    Raises:
        BadInput: the value is no image.
    """
    encoded = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(encoded, bytes):
        raise BadInput(f"{where}: expected the bytes of an image, found {value!r:.40}")
    check(encoded, where)
    return encoded
