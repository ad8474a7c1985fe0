"""Columns that a corpus has beside those of every corpus: an author, a date, what a head learns.

``collect`` takes them from the sources that name them, ``clean`` hands them on. They are null where
a record's source does not have them, and stand after the columns of ``tasks.contracts.records``:

- those of ``columns`` are texts; ``split`` divides by them, and leaves them out;
- those of ``targets`` are what a model is to predict, or reads beside the text. Each has a type of
  its own, and ``split`` hands them on.

======== ================ ==================================================
target   type             what it is
======== ================ ==================================================
value    number           of a regression
labels   list of texts    any number of classes
tokens   list of texts    the words of the text, which is made of them
tags     list of texts    one for each token
response text             what answers the text
text_b   text             the second text of a pair, cleaned as the first is
======== ================ ==================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

TARGETS = ("value", "labels", "tokens", "tags", "response", "text_b")
"""The names of the targets."""
OF_TEXT = {"response": b"1", "text_b": b"2"}
"""The targets that are texts, as those of ``columns`` are, and what tells them apart in a file."""
FIELD_ID = b"PARQUET:field_id"
PAIR = "text_b"
"""The target that makes a record a pair of texts: its id and its cleaning are of both."""
RESERVED = ("id", "text", "image", "label", "split", "source", "row")
"""The columns of every corpus, whose names no other may have."""


def with_columns(schema: pa.Schema, columns: Iterable[str]) -> pa.Schema:
    """Return the columns of a record file with those of one corpus behind them."""
    import pyarrow as pa

    for column in columns:
        schema = schema.append(pa.field(column, pa.string()))
    return schema


def with_fields(schema: pa.Schema, fields: Iterable[pa.Field]) -> pa.Schema:
    """Return the columns of a record file with further ones behind them, of any type."""
    for field in fields:
        schema = schema.append(field)
    return schema


def target_field(name: str) -> pa.Field:
    """Return the column of a target."""
    import pyarrow as pa

    if name in OF_TEXT:
        return pa.field(name, pa.string(), metadata={FIELD_ID: OF_TEXT[name]})
    return pa.field(name, pa.float64() if name == "value" else pa.list_(pa.string()))


def targets_of(schema: pa.Schema) -> list[pa.Field]:
    """Return the columns of a record file that are targets.

    A text of the same name, without the mark of a target, is one of ``columns``.
    """
    named = [target_field(name) for name in TARGETS if name in schema.names]
    return [field for field in named if _is_alike(schema.field(field.name), field)]


def is_of_pairs(schema: pa.Schema) -> bool:
    """Tell whether the records of a file are pairs of texts."""
    return PAIR in schema.names and _is_alike(schema.field(PAIR), target_field(PAIR))


def _is_alike(found: pa.Field, target: pa.Field) -> bool:
    is_marked = (found.metadata or {}).get(FIELD_ID) == OF_TEXT.get(target.name)
    return found.type == target.type and (is_marked or target.name not in OF_TEXT)


def columns_of(schema: pa.Schema) -> list[str]:
    """Return the columns of a record file that not every corpus has."""
    return [name for name in schema.names if name not in RESERVED]
