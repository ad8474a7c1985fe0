"""Lines of text: txt files, and JSON objects one a line."""

import json
from collections.abc import Iterator
from typing import IO

from tasks.collect.sources._columns import (
    MAXIMUM_VALUE_BYTES,
    Row,
    TableSettings,
    no_columns,
    row_of,
)
from tasks.errors import BadInput
from tasks.remote.members import Member


def decoded(file: IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, ends included; a byte order mark is left out.

    Raises:
        BadInput: bytes are not UTF-8, the message names the first; or a line is absurdly long.
    """
    lines = iter(lambda: file.readline(MAXIMUM_VALUE_BYTES + 1), b"")
    for number, line in enumerate(lines, start=1):
        if len(line) > MAXIMUM_VALUE_BYTES:
            raise BadInput(
                f"{name}: line {number} has more than {MAXIMUM_VALUE_BYTES:,} bytes: one record a "
                "line, or split it"
            )
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{name}: line {number}, byte {error.start + 1} (0x{line[error.start]:02x}) is not "
                "UTF-8: save the file as UTF-8"
            ) from None


def text_rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield each line as one unlabelled text."""
    no_columns(settings, member.name, "a .txt file")
    with member.open() as file:
        for line in decoded(file, member.name):
            yield Row(line.rstrip("\r\n"), None)


def json_rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield text and label of each JSON object; a blank line is an empty record.

    Raises:
        BadInput: a line is not a JSON object, or lacks a key.
    """
    with member.open() as file:
        for row, line in enumerate(decoded(file, member.name), start=1):
            where = f"{member.name}: row {row}"
            if not line.strip():
                yield Row("", None)
                continue
            values = _object(line, where)
            yield row_of(settings, values, where)


def tagged_rows(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield each line of words with their tags, as ``The/at jury/nn said/vbd``.

    A tag begins behind a word's last slash. Blank lines stand between paragraphs, and are none.

    Raises:
        BadInput: a word has no tag, or the settings name no tokens and tags.
    """
    if set(settings.targets or ()) != {"tokens", "tags"}:
        raise BadInput(
            f"{member.name}: format: tagged has tokens and tags alone: set targets: "
            "{tokens: tokens, tags: tags}"
        )
    with member.open() as file:
        for row, line in enumerate(decoded(file, member.name), start=1):
            pairs = [word.rpartition("/") for word in line.split()]
            for word, _, tag in pairs:
                if not word or not tag:
                    raise BadInput(
                        f"{member.name}: row {row}: {(word or tag)!r:.40} is no word with its tag, "
                        "as in jury/nn: mend it"
                    )
            if pairs:
                tokens, tags = [word for word, _, _ in pairs], [tag for _, _, tag in pairs]
                yield Row(" ".join(tokens), None, {"tokens": tokens, "tags": tags})


class _Repeated(dict[str, object]):
    """An object with a key that stands in it twice, of which Python keeps the last value."""


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else _Repeated(values)


def _object(line: str, where: str) -> dict[str, object]:
    try:
        values = json.loads(line, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise BadInput(f"{where}: expected a JSON object, found {line.strip()!r:.40}")
    if isinstance(values, _Repeated):
        raise BadInput(f"{where} has a key twice: leave one of them")
    return values
