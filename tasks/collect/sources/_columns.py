"""The columns of a table, and what may stand in them."""

import math
from collections.abc import Iterable, Mapping
from datetime import date
from operator import not_
from typing import Any, NamedTuple

from pydantic import Field, field_validator

from tasks.contracts.settings import NEUTRAL, Settings
from tasks.corpora.columns import RESERVED
from tasks.errors import BadInput, one_of

MAXIMUM_VALUE_BYTES = 16 * 2**20
"""A text, and a line or row with all its values: five times "War and Peace"."""
RECORD_BYTES = 16
"""What a record takes besides its content, so that a million empty ones count too."""


class Row(NamedTuple):
    """What a reader yields for each row of a file."""

    content: str | bytes
    label: str | None
    others: Mapping[str, str | None] | None = None
    """The values of ``columns``, where the settings name some."""


class TableSettings(Settings):
    """Where the text or image and the label stand in a table."""

    text: str = Field("text", min_length=1, description="name of the column with the text")
    image: str = Field(
        "", description="name of the column with encoded images (Parquet); instead of `text`"
    )
    label: str = Field("label", description="name of the column with the class; '' where none is")
    columns: list[str] | None = Field(
        None,
        min_length=1,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="further columns to keep with each record, for split.group_by and split.by",
    )
    header_rows: int = Field(
        1,
        ge=1,
        description="csv, tsv, tab: rows before the data; the first holds the columns' names",
    )
    quote: str = Field(
        '"',
        max_length=1,
        description="csv, tsv, tab: what encloses a value; '' where quotes are plain text",
    )

    @field_validator("columns")
    @classmethod
    def _have_names_of_their_own(cls, columns: list[str] | None) -> list[str] | None:
        for column in columns or ():
            if column in RESERVED or not column:
                raise ValueError(
                    f"{column!r} is a name that every corpus uses itself "
                    f"({', '.join(RESERVED)}): rename the column in the source"
                )
        if columns is not None and len({*columns}) < len(columns):
            raise ValueError("a column stands there twice: leave one of them")
        return columns

    @property
    def content(self) -> str:
        """The column with the text or the image."""
        return self.image or self.text


def check_column(column: str, columns: Iterable[str], key: str, where: str) -> None:
    """Refuse a table without a column that the settings name.

    Args:
        column: the name looked for.
        columns: the names there are.
        key: the setting that holds the name.
        where: the file, and the row where rows differ.

    Raises:
        BadInput: it is not there (the message lists the columns), or there twice.
    """
    known = list(columns)
    if known.count(column) > 1:
        raise BadInput(f"{where} has two columns {column!r} (setting {key}): rename one of them")
    if column not in known:
        raise BadInput(
            f"{where} has no column {column!r} (setting {key}); {one_of(column, known)}"
            + ("; '' if the records have no labels" if key == "label" else "")
        )


def check_columns(settings: TableSettings, columns: Iterable[str], where: str) -> None:
    """Refuse a table without one of the columns that the settings name.

    Raises:
        BadInput: one is missing, or there twice.
    """
    known = list(columns)
    check_column(settings.content, known, "image" if settings.image else "text", where)
    if settings.label:
        check_column(settings.label, known, "label", where)
    for column in settings.columns or ():
        check_column(column, known, "columns", where)


def no_columns(settings: TableSettings, name: str, what: str) -> None:
    """Refuse ``columns`` of a file that has none.

    Args:
        settings: its settings.
        name: the file.
        what: what it is, for the message.

    Raises:
        BadInput: the settings name some.
    """
    if settings.columns:
        raise BadInput(
            f"{name}: {what} has no column {settings.columns[0]!r} (setting columns): drop it, or "
            "use a table (csv, jsonl, parquet)"
        )


def others_of(
    settings: TableSettings, values: Mapping[str, Any], where: str
) -> dict[str, str | None] | None:
    """Return the values of ``columns`` as texts; empty and NaN mean that there is none.

    Args:
        settings: they name the columns.
        values: a row by column.
        where: the file and row, for messages.

    Raises:
        BadInput: a value is a list or a mapping.
    """
    if settings.columns is None:
        return None
    return {column: _as_value(values[column], column, where) for column in settings.columns}


def _as_value(value: Any, column: str, where: str) -> str | None:
    if isinstance(value, date):  # and datetime, which is one
        return value.isoformat()
    if value is not None and not isinstance(value, str | int | float):
        raise BadInput(
            f"{where}: column {column!r} (setting columns): expected a text, a number or a date, "
            f"found {value!r:.40}"
        )
    return as_label(value, where)


def as_text(value: Any, where: str) -> str:
    """Return a text as found; a missing one is empty, so that ``clean`` counts it.

    Raises:
        BadInput: the value is not text, or absurdly long.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(
            f"{where}: expected text, found {value!r:.40}: name another column in `text`"
        )
    try:
        num_bytes = len(value.encode())
    except UnicodeEncodeError:
        raise BadInput(f"{where}: half a surrogate pair is no text: repair the file") from None
    if num_bytes > MAXIMUM_VALUE_BYTES:
        raise BadInput(
            f"{where}: a text of {num_bytes:,} bytes, over {MAXIMUM_VALUE_BYTES:,}: split it"
        )
    return value


def as_label(value: Any, where: str) -> str | None:
    """Return a label as text; empty and NaN mean that there is none.

    Raises:
        BadInput: the value is a list, a mapping, or no finite number.
    """
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str | int | float):
        raise BadInput(f"{where}: expected a label, found {value!r:.40}: one class a record")
    if isinstance(value, float) and math.isinf(value):
        raise BadInput(f"{where}: the label is no finite number: write it as text")
    return as_text(str(value), where)
