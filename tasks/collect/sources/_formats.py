"""Which reader a file's ending calls for."""

from collections.abc import Iterator

from tasks.collect.source import Record
from tasks.collect.sources import _delimited, _images, _lines, _parquet
from tasks.collect.sources._columns import RECORD_BYTES, Row, TableSettings, no_columns
from tasks.contracts.paths import Part
from tasks.errors import BadInput
from tasks.remote.members import Member

_TABLES = {
    ".csv": _delimited.rows,
    ".tsv": _delimited.rows,
    ".tab": _delimited.rows,
    ".jsonl": _lines.json_rows,
    ".ndjson": _lines.json_rows,
    ".txt": _lines.text_rows,
    ".parquet": _parquet.rows,
}


def read_member(
    member: Member, split: Part | None, settings: TableSettings, source: str
) -> Iterator[Record]:
    """Yield the records of one file.

    Args:
        member: the file.
        split: the official split it belongs to.
        settings: its columns.
        source: what the column ``source`` says.

    Raises:
        BadInput: the file is empty, damaged, of no known format, or grows absurdly.
    """
    row = num_bytes = 0
    for row, found in enumerate(_rows(member, split, settings), start=1):
        content, label, others = found
        num_bytes += len(content) + len(label or "") + RECORD_BYTES
        if others is not None:
            num_bytes += sum(len(value or "") for value in others.values())
        member.require_honest(num_bytes)
        yield Record(content, label, split, source, row, others)
    if not row:
        raise BadInput(f"{member.name} is empty: it holds no records; remove it or narrow the path")


def _rows(member: Member, split: Part | None, settings: TableSettings) -> Iterator[Row]:
    if member.suffix in _images.SUFFIXES:
        no_columns(settings, member.name, "an image file")
        return _images.rows(member, split)
    if member.suffix in _TABLES:
        return _TABLES[member.suffix](member, settings)
    raise BadInput(
        f"{member.name}: {member.suffix or 'no ending'} is not a format that collect reads "
        f"({', '.join([*_TABLES, *_images.SUFFIXES])}, .gz, .zip): remove it or narrow the path"
    )
