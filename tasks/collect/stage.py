"""Reads every source of a corpus into one Parquet file."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.collect.kept import Cache, Kept
from tasks.collect.settings import SOURCES, Settings
from tasks.collect.source import (
    Piece,
    Record,
    SourceContext,
    as_batches,
    modality_of,
    schema_of,
)
from tasks.contracts import records, registry
from tasks.contracts.records import write_records
from tasks.corpora.corrections import attach_corrections, read_corrections
from tasks.errors import BadInput
from tasks.progress import Reporter, progress, say
from tasks.remote.downloads import read_pins

if TYPE_CHECKING:
    import pyarrow as pa

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
    kept: Kept | None = None,
) -> None:
    """Write ``records.parquet``: the records of all sources, in order.

    Args:
        corpus: the row of ``params.yaml``, for messages.
        sources_folder: the corpus' local files.
        pin: the corpus' ``pin.json``.
        output: the folder to write into.
        settings: the sources.
        kept: what large files held in earlier runs, and where there is room for what they hold now.

    Raises:
        BadInput: a source or the file of corrections cannot be read, a source is empty, or text
            is mixed with images.
        MissingPin: a remote source is not pinned.
        Unreachable: a remote source does not answer.
    """
    pins = read_pins(pin)
    contexts = [
        SourceContext(corpus, number, sources_folder, pin, pins, keeps_pieces=kept is not None)
        for number in range(len(settings.sources))
    ]
    _check_pins(settings, contexts)
    corrections = read_corrections(sources_folder)
    cache = Cache(kept) if kept else None
    with progress(f"collect {corpus}") as reporter:
        batches = _counted(_batches(settings, contexts, cache), reporter)
        first = next(batches)
        modality = records.modality_of(first.schema)
        schema = schema_of(modality, settings.columns(), settings.targets())
        found = (batch.cast(schema) for batch in chain([first], batches))
        num_records = write_records(output / "records.parquet", schema, found)
        attach_corrections(output / "records.parquet", corrections)
    if cache is not None:
        cache.forget_others()
        if num_large := cache.num_read + cache.num_kept:
            say(f"collect {corpus}: {cache.num_read:,} of {num_large:,} large files read anew")
    say(f"collect {corpus}: {num_records:,} {modality} records")


def _check_pins(settings: Settings, contexts: list[SourceContext]) -> None:
    """Fail on a missing pin before the first source is read, not after hours."""
    for source, kind, context in zip(settings.sources, settings.kinds(), contexts, strict=True):
        for identity in registry.load(SOURCES, kind, "sources").identities(source):
            context.pin(identity)


def _batches(
    settings: Settings, contexts: list[SourceContext], cache: Cache | None
) -> Iterator["pa.RecordBatch"]:
    alike = _Alike()
    columns, targets = settings.columns(), settings.targets()
    for source, kind, context in zip(settings.sources, settings.kinds(), contexts, strict=True):
        entry = registry.load(SOURCES, kind, "sources")
        pieces = (
            entry.pieces(source, context)
            if cache and hasattr(entry, "pieces")
            else [Piece(partial(entry.read, source, context))]
        )
        how = f"{source.model_dump_json()} {columns} {targets}"
        is_empty = True
        # Small files one after the other; a large one, which has an identity, by itself.
        for identity, some in groupby(pieces, key=attrgetter("identity")):
            key = cache.key_of(identity, how) if cache and identity is not None else None
            batches = cache.read(key) if cache and key is not None else None
            if batches is not None:
                batches = alike.checked_batches(batches)
            else:
                found = alike.checked(chain.from_iterable(piece.read() for piece in some))
                batches = _as_batches(found, columns, targets)
                if cache and key is not None:
                    batches = cache.keep(key, batches)
            for batch in batches:
                is_empty = False
                yield batch
        if is_empty:
            raise BadInput(
                f"corpora.{context.corpus}.collect.sources.{context.number} ({kind}) holds no "
                "records: check its path and its splits"
            )


def _as_batches(
    found: Iterator[Record], columns: list[str], targets: list[str]
) -> Iterator["pa.RecordBatch"]:
    first = next(found, None)
    if first is not None:
        yield from as_batches(chain([first], found), modality_of(first), columns, targets)


class _Alike:
    """What all records of a corpus have in common: the modality, and how a class is written."""

    def __init__(self) -> None:
        self._first: Record | None = None
        # Of each number that is a class: its first label, and where that stands.
        self._numbers: dict[str, tuple[str, str, int]] = {}

    def checked(self, found: Iterable[Record]) -> Iterator[Record]:
        """Yield records as they are; raise BadInput for one that is unlike those before."""
        for record in found:
            self._check(record)
            yield record

    def checked_batches(self, batches: Iterable["pa.RecordBatch"]) -> Iterator["pa.RecordBatch"]:
        """Do the same for records that were read before, of which one a label is enough."""
        for batch in batches:
            content = "" if records.modality_of(batch.schema) == "text" else b""
            labels = batch.column("label").to_pylist()
            firsts = sorted({label: at for at, label in reversed([*enumerate(labels)])}.values())
            origins = batch.select(["split", "source", "row"]).take(firsts).to_pylist()
            for at, origin in zip(firsts, origins, strict=True):
                self._check(Record(content, labels[at], **origin))
            yield batch

    def _check(self, record: Record) -> None:
        first = self._first = self._first or record
        if modality_of(record) != modality_of(first):
            raise BadInput(
                f"{record.source} holds {modality_of(record)}s while {first.source} holds "
                f"{modality_of(first)}s: a corpus is text or images; make two rows under corpora"
            )
        if record.label is not None and _NUMBER.fullmatch(record.label):
            self._check_number(record, record.label)

    def _check_number(self, record: Record, written: str) -> None:
        """Refuse a number that is a class as ``1`` and another as ``1.0``, of two files say."""
        number = written.removesuffix(".0")
        if number not in self._numbers and len(self._numbers) < _NUMBERS_KEPT:
            self._numbers[number] = (written, record.source, record.row)
        label, source, row = self._numbers.get(number, (written, "", 0))
        if label != written:
            raise BadInput(
                f"{record.source}, row {record.row} has the label {written} where "
                f"{source}, row {row} has {label}: write the class in one way"
            )


def _counted(batches: Iterator["pa.RecordBatch"], reporter: Reporter) -> Iterator["pa.RecordBatch"]:
    for batch in batches:
        reporter.advance(batch.num_rows)
        yield batch
