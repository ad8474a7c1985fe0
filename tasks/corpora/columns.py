"""Columns that a corpus has beside those of every corpus: an author, a date.

``collect`` takes them from the sources that name them (``columns``), ``clean`` hands them on, and
``split`` divides by them. They are texts, null where a record's source does not have them, and
stand after the columns of ``tasks.contracts.records``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

RESERVED = ("id", "text", "image", "label", "split", "source", "row")
"""The columns of every corpus, whose names no other may have."""


def with_columns(schema: pa.Schema, columns: Iterable[str]) -> pa.Schema:
    """Return the columns of a record file with those of one corpus behind them."""
    import pyarrow as pa

    for column in columns:
        schema = schema.append(pa.field(column, pa.string()))
    return schema


def columns_of(schema: pa.Schema) -> list[str]:
    """Return the columns of a record file that not every corpus has."""
    return [name for name in schema.names if name not in RESERVED]
