"""Rows of Parquet files, a batch at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.collect.sources._columns import Row, TableSettings, as_label, as_text, check_columns
from tasks.contracts.images import check
from tasks.errors import BadInput
from tasks.remote.members import Member

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_BATCH_ROWS = 1_000


def rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield text or image, and label, of each row.

    Raises:
        BadInput: the file is damaged, lacks a column, or a value is neither text nor image.
    """
    # A plan reads the settings of every source; it needs no Arrow.
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [settings.content, *([settings.label] if settings.label else [])]
    with member.open() as file:
        # Parquet is read from its end; what comes out of an archive has to be held for that.
        seekable = file if file.seekable() else io.BytesIO(file.read())
        try:
            with pq.ParquetFile(seekable, pre_buffer=False) as table:
                check_columns(settings, table.schema_arrow.names, member.name)
                for row, values in enumerate(_values(table, columns), start=1):
                    where = f"{member.name}: row {row}"
                    label = values[settings.label] if settings.label else None
                    yield _content(values, settings, where), as_label(label, where)
        except (pa.ArrowException, OSError) as error:
            raise BadInput(
                f"{member.name} is not a Parquet file that can be read: {error}"
            ) from None


def _values(table: ParquetFile, columns: list[str]) -> Iterator[dict[str, Any]]:
    for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
        yield from batch.to_pylist()


def _content(values: dict[str, Any], settings: TableSettings, where: str) -> str | bytes:
    value = values[settings.content]
    return image_bytes(value, where) if settings.image else as_text(value, where)


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
