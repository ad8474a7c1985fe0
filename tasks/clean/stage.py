"""Cleans the records of one corpus, a batch at a time."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.clean.corrections import Corrections
from tasks.clean.images import Images
from tasks.clean.report import Report
from tasks.clean.settings import Settings
from tasks.clean.text import clean_text, reason_to_drop
from tasks.contracts.files import write_json
from tasks.contracts.records import (
    Modality,
    cleaned_schema,
    modality_of,
    read_batches,
    read_schema,
    write_records,
)
from tasks.corpora.columns import columns_of, with_columns
from tasks.corpora.corrections import corrections_of
from tasks.errors import BadInput
from tasks.progress import progress, say

Record = dict[str, Any]
# Sets a record's content and id; returns why it is dropped, or nothing.
Cleaner = Callable[[Record], str | None]


class Seen:
    """The contents seen so far, each with its first label; 16 bytes a record, not the record."""

    def __init__(self) -> None:
        self._labels: dict[bytes, str | None] = {}

    def reason_to_drop(self, identity: str, split: str | None, label: str | None) -> str | None:
        """Return why a record is dropped, or nothing; then it counts as seen.

        Args:
            identity: the sha256 of its content.
            split: its official split; the same content in another one is no duplicate.
            label: its class.
        """
        key = hashlib.sha256(f"{split}:{identity}".encode()).digest()[:16]
        if key not in self._labels:
            self._labels[key] = label
            return None
        return "duplicate" if self._labels[key] == label else "duplicate_other_label"


def run(records: Path, output: Path, settings: Settings) -> None:
    """Write ``records.parquet`` and ``report.json``.

    Args:
        records: the records as found.
        output: the folder to write into.
        settings: how to clean.

    Raises:
        BadInput: an image is damaged or unlike the others, or no record is left.
    """
    found = read_schema(records)
    modality = modality_of(found)
    # Columns that the corpus has beside those of every corpus are handed on as they are.
    schema = with_columns(cleaned_schema(modality), columns_of(found))
    report = Report()
    corrections = Corrections(corrections_of(found), partial(_clean_label, settings=settings))
    num_kept = write_records(
        output / "records.parquet",
        schema,
        _cleaned(records, schema, settings, report, corrections),
    )
    if not num_kept:
        raise BadInput(
            f"{records}: no record is left after cleaning: {report.dropped()} were dropped"
        )
    corrected = corrections.counts()
    told = {"corrections": corrected} if corrected else {}
    write_json(output / "report.json", {**report.as_json(), **told})
    if corrected:
        named = ", ".join(f"{count:,} {outcome}" for outcome, count in corrected.items() if count)
        say(f"clean: corrections of labels: {named}")
    counts = [f"{count:,} {reason}" for reason, count in report.dropped().items() if count]
    say(f"clean: kept {num_kept:,} records; dropped {', '.join(counts) or 'none'}")


def _cleaned(
    path: Path,
    schema: pa.Schema,
    settings: Settings,
    report: Report,
    corrections: Corrections,
) -> Iterator[pa.RecordBatch]:
    cleaners: dict[Modality, Callable[[Settings], Cleaner]] = {
        "text": _text_cleaner,
        "image": _image_cleaner,
    }
    clean = cleaners[modality_of(schema)](settings)
    seen = Seen()
    with progress("clean") as reporter:
        for batch in read_batches(path):
            kept = [
                record
                for record in batch.to_pylist()
                if _keeps(record, clean, seen, report, corrections)
            ]
            yield pa.RecordBatch.from_pylist(kept, schema=schema)
            reporter.advance(batch.num_rows)


def _keeps(
    record: Record, clean: Cleaner, seen: Seen, report: Report, corrections: Corrections
) -> bool:
    """Clean a record in place; tell whether it stays, and count it."""
    split = record["split"]
    reason = clean(record)
    corrections.apply(record)
    reason = reason or seen.reason_to_drop(record["id"], split, record["label"])
    if reason is None:
        report.keep(split)
    else:
        report.drop(reason, split, record["source"], record["row"])
    return reason is None


def _text_cleaner(settings: Settings) -> Cleaner:
    def clean(record: Record) -> str | None:
        text = clean_text(record["text"] or "", settings)
        record["text"] = text
        record["id"] = hashlib.sha256(text.encode()).hexdigest()
        record["label"] = _clean_label(record["label"], settings)
        return reason_to_drop(text, settings)

    return clean


def _image_cleaner(settings: Settings) -> Cleaner:
    images = Images(settings)

    def clean(record: Record) -> str | None:
        if not record["image"]:
            return "empty"
        where = f"{record['source']}, row {record['row']}"
        record["id"], record["image"] = images.clean(record["image"], where)
        record["label"] = _clean_label(record["label"], settings)
        return None

    return clean


def _clean_label(label: str | None, settings: Settings) -> str | None:
    """Let ``"cat"`` and ``"cat "`` be one class."""
    return clean_text(label or "", settings) or None
