"""Reads every source of a corpus into one Parquet file."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tasks.collect.settings import SOURCES, Settings
from tasks.collect.source import Record, SourceContext, as_batches, modality_of, schema_of
from tasks.contracts import registry
from tasks.contracts.records import write_records
from tasks.corpora.corrections import attach_corrections, read_corrections
from tasks.errors import BadInput
from tasks.progress import Reporter, progress, say
from tasks.remote.downloads import read_pins

# A whole number, as JSON, Parquet and csv may write it.
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.0)?")
# More are numbers of records, not of classes.
_NUMBERS_KEPT = 100_000


def run(
    corpus: str,
    sources_folder: Path,
    pin: Path,
    output: Path,
    settings: Settings,
) -> None:
    """Write ``records.parquet``: the records of all sources, in order.

    Args:
        corpus: the row of ``params.yaml``, for messages.
        sources_folder: the corpus' local files.
        pin: the corpus' ``pin.json``.
        output: the folder to write into.
        settings: the sources.

    Raises:
        BadInput: a source or the file of corrections cannot be read, a source is empty, or text
            is mixed with images.
        MissingPin: a remote source is not pinned.
        Unreachable: a remote source does not answer.
    """
    pins = read_pins(pin)
    contexts = [
        SourceContext(corpus, number, sources_folder, pin, pins)
        for number in range(len(settings.sources))
    ]
    _check_pins(settings, contexts)
    corrections = read_corrections(sources_folder)
    with progress(f"collect {corpus}") as reporter:
        found = _one_spelling(_one_modality(_records(settings, contexts)))
        records = _counted(found, reporter)
        first = next(records)
        modality = modality_of(first)
        columns, targets = settings.columns(), settings.targets()
        num_records = write_records(
            output / "records.parquet",
            schema_of(modality, columns, targets),
            as_batches(chain([first], records), modality, columns, targets),
        )
        attach_corrections(output / "records.parquet", corrections)
    say(f"collect {corpus}: {num_records:,} {modality} records")


def _check_pins(settings: Settings, contexts: list[SourceContext]) -> None:
    """Fail on a missing pin before the first source is read, not after hours."""
    for source, kind, context in zip(settings.sources, settings.kinds(), contexts, strict=True):
        for identity in registry.load(SOURCES, kind, "sources").identities(source):
            context.pin(identity)


def _records(settings: Settings, contexts: list[SourceContext]) -> Iterator[Record]:
    for source, kind, context in zip(settings.sources, settings.kinds(), contexts, strict=True):
        is_empty = True
        for record in registry.load(SOURCES, kind, "sources").read(source, context):
            is_empty = False
            yield record
        if is_empty:
            raise BadInput(
                f"corpora.{context.corpus}.collect.sources.{context.number} ({kind}) holds no "
                "records: check its path and its splits"
            )


def _one_modality(records: Iterator[Record]) -> Iterator[Record]:
    first: Record | None = None
    for record in records:
        first = first or record
        if modality_of(record) != modality_of(first):
            raise BadInput(
                f"{record.source} holds {modality_of(record)}s while {first.source} holds "
                f"{modality_of(first)}s: a corpus is text or images; make two rows under corpora"
            )
        yield record


def _one_spelling(records: Iterator[Record]) -> Iterator[Record]:
    """Refuse a number that is a class as ``1`` and another as ``1.0``, as two files may have it."""
    first: dict[str, tuple[str, str, int]] = {}
    for record in records:
        if record.label is not None and _NUMBER.fullmatch(record.label):
            number = record.label.removesuffix(".0")
            if number not in first and len(first) < _NUMBERS_KEPT:
                first[number] = (record.label, record.source, record.row)
            label, source, row = first.get(number, (record.label, "", 0))
            if label != record.label:
                raise BadInput(
                    f"{record.source}, row {record.row} has the label {record.label} where "
                    f"{source}, row {row} has {label}: write the class in one way"
                )
        yield record


def _counted(records: Iterator[Record], reporter: Reporter) -> Iterator[Record]:
    for record in records:
        reporter.advance()
        yield record
