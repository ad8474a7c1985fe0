"""Which reader a file's ending calls for."""

from collections.abc import Callable, Iterator
from functools import partial
from operator import not_
from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field

from tasks.collect.source import Record, size_of
from tasks.collect.sources import _delimited, _images, _lines, _mail, _nested, _parquet
from tasks.collect.sources._columns import RECORD_BYTES, Row, TableSettings, no_columns
from tasks.contracts.paths import Part
from tasks.contracts.settings import NEUTRAL
from tasks.errors import BadInput
from tasks.remote.members import Member

_TABLES: dict[str, Callable[[Member, TableSettings], Iterator[Row]]] = {
    ".csv": partial(_delimited.rows, delimiter=","),
    ".tsv": partial(_delimited.rows, delimiter="\t"),
    ".tab": partial(_delimited.rows, delimiter="\t"),
    ".jsonl": _lines.json_rows,
    ".ndjson": _lines.json_rows,
    ".json": _nested.json_records,
    ".yml": _nested.yaml_records,
    ".yaml": _nested.yaml_records,
    ".txt": _lines.text_rows,
    ".tagged": _lines.tagged_rows,
    ".parquet": _parquet.rows,
    ".eml": _mail.eml_rows,
    ".mbox": _mail.mbox_rows,
}
_WITHOUT_IMAGES = {*_TABLES} - {".parquet"}
_NESTED = {".json", ".yml", ".yaml"}
"""Of which the setting ``records`` is."""


class FileSettings(TableSettings):
    """How files are read, and their columns."""

    label_from: Literal["file", "folder"] | None = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="the class is the file's name without its ending, or its folder's, in place of "
        "a column",
    )
    format: (
        Literal["csv", "tsv", "jsonl", "json", "yaml", "parquet", "txt", "tagged", "eml", "mbox"]
        | None
    ) = Field(
        None,
        json_schema_extra=NEUTRAL,
        exclude_if=not_,
        description="what the files are, where their endings do not tell",
    )


def read_member(
    member: Member, split: Part | None, settings: FileSettings, source: str
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
    label_of_all = None
    if settings.label_from is not None:
        label_of_all = _label_of(member, split, settings.label_from)
        settings = settings.model_copy(update={"label": ""})
    for row, found in enumerate(_rows(member, split, settings), start=1):
        content, label, others = found
        label = label_of_all or label
        num_bytes += len(content) + len(label or "") + RECORD_BYTES
        if others is not None:
            num_bytes += sum(size_of(value) for value in others.values())
        member.require_honest(num_bytes)
        yield Record(content, label, split, source, row, others)
    if not row:
        raise BadInput(f"{member.name} is empty: it holds no records; remove it or narrow the path")


def _label_of(member: Member, split: Part | None, source: str) -> str:
    if source == "file":
        name = member.parts[-1]
        return PurePosixPath(name[: -len(".gz")] if name.lower().endswith(".gz") else name).stem
    folders = _images.class_folders(member, split)
    if not folders:
        raise BadInput(
            f"{member.name} lies in no folder that could be its class (setting label_from)"
        )
    return folders[-1]


def _rows(member: Member, split: Part | None, settings: FileSettings) -> Iterator[Row]:
    suffix = f".{settings.format}" if settings.format else member.suffix
    if settings.records and suffix not in _NESTED:
        raise BadInput(
            f"{member.name}: records ({settings.records}) is of json and yaml: drop it, or narrow "
            "the path"
        )
    if suffix in _images.SUFFIXES:
        no_columns(settings, member.name, "an image file")
        return _images.rows(member, split)
    if suffix in _WITHOUT_IMAGES and settings.image:
        raise BadInput(
            f"{member.name}: a {suffix} file holds no images (setting image): use Parquet, or "
            "folders of images by class"
        )
    if suffix in _TABLES:
        return _TABLES[suffix](member, settings)
    raise BadInput(
        f"{member.name}: {suffix or 'no ending'} is not a format that collect reads "
        f"({', '.join([*_TABLES, *_images.SUFFIXES])}, .gz, .zip): remove it, narrow the path, or "
        "name its format"
    )
