"""The columns of a table, and what may stand in them."""

import math
from collections.abc import Iterable
from typing import Any

from pydantic import Field

from tasks.contracts.settings import Settings
from tasks.errors import BadInput, one_of

MAXIMUM_VALUE_BYTES = 16 * 2**20
"""A text, and a line or row with all its values: five times "War and Peace"."""
RECORD_BYTES = 16
"""What a record takes besides its content, so that a million empty ones count too."""
# What a reader yields for each row of a file: the text or image, and the label.
Row = tuple[str | bytes, str | None]


class TableSettings(Settings):
    """Where the text or image and the label stand in a table."""

    text: str = Field("text", min_length=1, description="name of the column with the text")
    image: str = Field(
        "", description="name of the column with encoded images (Parquet); instead of `text`"
    )
    label: str = Field("label", description="name of the column with the class; '' where none is")
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
