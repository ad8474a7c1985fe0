"""Lines of text: txt files, and JSON objects one a line."""

import json
from collections.abc import Iterator
from typing import IO

from tasks.collect.sources._columns import Row, TableSettings, as_label, as_text, check_columns
from tasks.errors import BadInput
from tasks.remote.members import Member


def decoded(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, ends included; a byte order mark is left out.

    Raises:
        BadInput: bytes are not UTF-8; the message names the first.
    """
    for number, line in enumerate(file, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{name}: line {number}, byte {error.start + 1} (0x{line[error.start]:02x}) is not "
                "UTF-8: save the file as UTF-8"
            ) from None


def text_rows(member: Member, settings: TableSettings) -> Iterator[Row]:  # noqa: ARG001 - a reader's signature
    """Yield each line as one unlabelled text."""
    with member.open() as file:
        for line in decoded(file, member.name):
            yield line.rstrip("\r\n"), None


def json_rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield text and label of each JSON object; a blank line is an empty record.

    Raises:
        BadInput: a line is not a JSON object, or lacks a key.
    """
    with member.open() as file:
        for row, line in enumerate(decoded(file, member.name), start=1):
            where = f"{member.name}: row {row}"
            if not line.strip():
                yield "", None
                continue
            values = _object(line, where)
            check_columns(settings, values, where)
            label = values[settings.label] if settings.label else None
            yield as_text(values[settings.content], where), as_label(label, where)


def _object(line: str, where: str) -> dict[str, object]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise BadInput(f"{where}: expected a JSON object, found {line.strip()!r:.40}")
    return values
