"""Rows of csv, tsv and tab files."""

import csv
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.collect.sources._columns import (
    MAXIMUM_VALUE_BYTES,
    Row,
    TableSettings,
    check_columns,
    others_of,
    text_in,
)
from tasks.collect.sources._lines import decoded
from tasks.errors import BadInput
from tasks.remote.members import Member


def rows(member: Member, settings: TableSettings, delimiter: str) -> Iterator[Row]:
    """Yield text and label of each row; a blank row is an empty record, for ``clean`` to count.

    Args:
        member: the file.
        settings: its columns.
        delimiter: what stands between two values.

    Raises:
        BadInput: a column is missing or there twice, a quote is broken, a row has too many or too
            few values or is absurdly long, or bytes are not UTF-8.
    """
    with member.open() as file:
        rows_of_file = _parsed(member, settings, delimiter, decoded(file, member.name))
        names = next(rows_of_file, [])
        if not names:
            raise BadInput(f"{member.name} is empty: expected a first row with the columns' names")
        check_columns(settings, names, member.name)
        label = names.index(settings.label) if settings.label else None
        for _ in range(settings.header_rows - 1):
            if next(rows_of_file, None) is None:
                break  # the file has fewer
        for row, values in enumerate(rows_of_file, start=1):
            if values and len(values) != len(names):
                raise BadInput(
                    f"{member.name}: row {row} has {len(values)} values, expected {len(names)}: "
                    "quote a value that holds a delimiter"
                )
            if not values:
                yield Row("", None)
                continue
            where = f"{member.name}: row {row}"
            by_name = dict(zip(names, values, strict=True))
            listed: Mapping[str, Any] = by_name
            content = listed
            if settings.targets:
                from tasks.collect.sources._targets import with_listed_labels

                listed = with_listed_labels(settings, by_name, where)
                # A column of labels may be the text, or one of the columns, too.
                content = {**listed, settings.content: by_name[settings.content]}
            yield Row(
                text_in(settings, content, where),
                (values[label] or None) if label is not None else None,
                others_of(settings, by_name, where, listed),
            )


class _OfOneRow:
    """The lines of a file, as many as one row may have.

    A quote that is never closed would otherwise swallow the rest of a large file.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.num_characters = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.num_characters += len(line)
            if self.num_characters > MAXIMUM_VALUE_BYTES:
                raise csv.Error(f"it has more than {MAXIMUM_VALUE_BYTES:,} characters")
            yield line


def _parsed(
    member: Member, settings: TableSettings, delimiter: str, lines: Iterator[str]
) -> Iterator[list[str]]:
    csv.field_size_limit(MAXIMUM_VALUE_BYTES)
    of_one_row = _OfOneRow(lines)
    reader = csv.reader(
        of_one_row,
        delimiter=delimiter,
        quotechar=settings.quote or None,
        quoting=csv.QUOTE_MINIMAL if settings.quote else csv.QUOTE_NONE,
        strict=True,
    )
    row = 1 - settings.header_rows
    while True:
        first_line = reader.line_num + 1
        of_one_row.num_characters = 0
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadInput(
                f"{member.name}: row {row} (line {first_line}) has a broken quote or line end: "
                f"{error}. Mend it, or set quote: '' if quotes are plain text"
            ) from None
        yield values
        row += 1
