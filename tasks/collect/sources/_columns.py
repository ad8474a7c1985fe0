"""The columns of a table, and what may stand in them."""

import math
from collections.abc import Iterable, Mapping
from datetime import date
from operator import not_
from typing import Any, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from tasks.contracts.settings import NEUTRAL, Settings
from tasks.corpora.columns import RESERVED, TARGETS
from tasks.errors import BadInput, one_of

MAXIMUM_VALUE_BYTES = 16 * 2**20
"""A text, and a line or row with all its values: five times "War and Peace"."""
RECORD_BYTES = 16
"""What a record takes besides its content, so that a million empty ones count too."""


class Row(NamedTuple):
    """What a reader yields for each row of a file."""

    content: str | bytes
    label: str | None
    others: Mapping[str, Any] | None = None
    """The values of ``columns`` and ``targets``, where the settings name some."""


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
    targets: dict[str, str | list[str]] | None = Field(
        None,
        min_length=1,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="what heads other than classification learn, by the column that has it: "
        "{value: Rating}, {tokens: words, tags: tags}, {response: answer}, {text_b: title} "
        "for pairs of texts, {labels: topics} or, of several columns, "
        "{labels: [Division, Department]}",
    )
    records: str | None = Field(
        None,
        min_length=1,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="json, yaml: where the records are, by keys, with * for each item: "
        "conversations.*; null: *, each item of the whole. Of lists, the columns are 0, 1, …",
    )
    indicators: bool | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="true: the columns of targets.labels hold 0 or 1, whether a record has the "
        "label that the column is called",
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

    @field_validator("targets")
    @classmethod
    def _are_targets(
        cls, targets: dict[str, str | list[str]] | None
    ) -> dict[str, str | list[str]] | None:
        for name, column in (targets or {}).items():
            if name not in TARGETS:
                raise ValueError(f"{name!r} is unknown; {one_of(name, TARGETS)}")
            if name != "labels" and isinstance(column, list):
                raise ValueError(f"{name} is of one column: expected its name")
            if isinstance(column, list) and (not column or len({*column}) < len(column)):
                raise ValueError(f"{name}: name one column at least, and each once")
        if targets and ("tags" in targets) != ("tokens" in targets):
            raise ValueError("tokens and tags go together: name the columns of both")
        return targets

    @model_validator(mode="after")
    def _indicators_are_of_labels(self) -> Self:
        if self.indicators and not isinstance((self.targets or {}).get("labels"), list):
            raise ValueError(
                "indicators are columns of labels: name them in targets, as {labels: [spam, rude]}"
            )
        return self

    @property
    def content(self) -> str:
        """The column with the text or the image; of tokens, the text is made."""
        if self.targets and "tokens" in self.targets:
            return str(self.targets["tokens"])
        return self.image or self.text

    def other_columns(self) -> list[tuple[str, str]]:
        """Return the setting and the name of each column beside content and label."""
        named = [("columns", column) for column in self.columns or ()]
        for target, columns in (self.targets or {}).items():
            listed = columns if isinstance(columns, list) else [columns]
            named += [(f"targets.{target}", column) for column in listed]
        return named


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
    for key, column in settings.other_columns():
        check_column(column, known, key, where)


def no_columns(settings: TableSettings, name: str, what: str) -> None:
    """Refuse ``columns`` of a file that has none.

    Args:
        settings: its settings.
        name: the file.
        what: what it is, for the message.

    Raises:
        BadInput: the settings name some.
    """
    for key, column in settings.other_columns()[:1]:
        raise BadInput(
            f"{name}: {what} has no column {column!r} (setting {key}): drop it, or "
            "use a table (csv, jsonl, parquet)"
        )


def others_of(
    settings: TableSettings,
    values: Mapping[str, Any],
    where: str,
    of_targets: Mapping[str, Any] | None = None,
) -> dict[str, Any] | None:
    """Return the values of ``columns`` as texts, empty and NaN meaning none, and the targets.

    Args:
        settings: they name the columns.
        values: a row by column.
        where: the file and row, for messages.
        of_targets: the row as targets are read from it, where that is another.

    Raises:
        BadInput: a value is a list or a mapping, or not of its target's type.
    """
    if settings.columns is None and settings.targets is None:
        return None
    others = {column: _as_value(values[column], column, where) for column in settings.columns or ()}
    if settings.targets is None:
        return others
    from tasks.collect.sources._targets import targets_of

    return {**others, **targets_of(settings, of_targets or values, where)}


def text_in(settings: TableSettings, values: Mapping[str, Any], where: str) -> str:
    """Return the text of a row, or what its tokens make.

    Args:
        settings: they name its column.
        values: a row by column.
        where: the file and row, for messages.

    Raises:
        BadInput: it is no text, or absurdly long.
    """
    if settings.targets and "tokens" in settings.targets:
        from tasks.collect.sources._targets import targets_of, text_of

        return text_of(targets_of(settings, values, where)["tokens"], where)
    return as_text(values[settings.content], where)


def row_of(settings: TableSettings, values: Mapping[str, Any], where: str) -> Row:
    """Return the record that values by name make.

    Args:
        settings: what to read.
        values: by column.
        where: the file and row, for messages.

    Raises:
        BadInput: a column is missing, or a value is not of its kind.
    """
    check_columns(settings, values, where)
    label = values[settings.label] if settings.label else None
    return Row(
        text_in(settings, values, where),
        as_label(label, where),
        others_of(settings, values, where),
    )


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
