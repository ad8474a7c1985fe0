"""Cleans the records of one corpus, a batch at a time."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.clean.images import Images
from tasks.clean.repeated import PROTECTED, Seen
from tasks.clean.report import Report
from tasks.clean.settings import Settings
from tasks.clean.settle import settle
from tasks.clean.text import clean_text, reason_to_drop
from tasks.contracts.files import write_json
from tasks.contracts.records import (
    ROWS_PER_GROUP,
    Modality,
    cleaned_schema,
    modality_of,
    read_batches,
    read_schema,
    write_records,
)
from tasks.corpora.columns import columns_of, with_columns
from tasks.corpora.corrections import Corrections, corrections_of
from tasks.errors import BadInput
from tasks.progress import progress, say

Record = dict[str, Any]
# Sets a record's content and id; returns why it is dropped, or nothing.
Cleaner = Callable[[Record], str | None]


def run(records: Path, output: Path, settings: Settings) -> None:
    """Write ``records.parquet`` and ``report.json``.

    Args:
        records: the records as found.
        output: the folder to write into.
        settings: how to clean.

    Raises:
        BadInput: an image is damaged or unlike the others, or no record is left.
    """
    report = Report(_reasons(settings))
    num_kept = clean(records, output / "records.parquet", settings, report)
    if not num_kept:
        raise BadInput(
            f"{records}: no record is left after cleaning: {report.dropped()} were dropped"
        )
    write_json(output / "report.json", report.as_json())
    counts = [f"{count:,} {reason}" for reason, count in report.dropped().items() if count]
    say(f"clean: kept {num_kept:,} records; dropped {', '.join(counts) or 'none'}")


def clean(records: Path, cleaned: Path, settings: Settings, report: Report) -> int:
    """Write the records that stay, and return their number.

    Args:
        records: the records as found.
        cleaned: the file to write.
        settings: how to clean.
        report: where every record is counted.

    Raises:
        BadInput: an image is damaged or unlike the others, or contents have several labels where
            that is an error.
    """
    found = read_schema(records)
    # Columns that the corpus has beside those of every corpus are handed on as they are.
    schema = with_columns(cleaned_schema(modality_of(found)), columns_of(found))
    rule = settings.label_conflicts or ("first" if _has_official_split(records) else "majority")
    seen = Seen(rule)
    corrections = Corrections(corrections_of(found), partial(_clean_label, settings=settings))
    write_records(cleaned, schema, _cleaned(records, schema, settings, seen, report, corrections))
    settle(cleaned, seen, rule, settings, report)
    _tell(corrections, report)
    return report.num_kept()


def _tell(corrections: Corrections, report: Report) -> None:
    corrected = corrections.counts()
    if corrected:
        report.note("corrections", corrected)
        named = ", ".join(f"{count:,} {outcome}" for outcome, count in corrected.items() if count)
        say(f"clean: corrections of labels: {named}")


def _has_official_split(records: Path) -> bool:
    with pq.ParquetFile(records, pre_buffer=False) as file:
        batches = file.iter_batches(batch_size=ROWS_PER_GROUP, columns=["split"])
        return any(batch.num_rows > batch.column(0).null_count for batch in batches)


def _reasons(settings: Settings) -> list[str]:
    """Return the reasons that the settings ask to be told of, also where no record has them."""
    asked = {
        "language": settings.languages is not None,
        "label_tie": settings.label_conflicts == "majority",
        "label_conflict": settings.label_conflicts == "drop",
        "blank": settings.blank is not None,
        "near_duplicate": settings.near_duplicates is not None,
        "rare_class": settings.rare_classes is not None and settings.rare_classes.then == "drop",
    }
    rules = settings.quality or ()
    broken = [name for name, limit in rules if limit is not None]
    return [*broken, *(reason for reason, is_asked in asked.items() if is_asked)]


def _cleaned(
    path: Path,
    schema: pa.Schema,
    settings: Settings,
    seen: Seen,
    report: Report,
    corrections: Corrections,
) -> Iterator[pa.RecordBatch]:
    cleaners: dict[Modality, Callable[[Settings, Report], Cleaner]] = {
        "text": _text_cleaner,
        "image": _image_cleaner,
    }
    clean_record = cleaners[modality_of(schema)](settings, report)
    with progress("clean") as reporter:
        for batch in read_batches(path):
            kept = [
                record
                for record in batch.to_pylist()
                if _keeps(record, clean_record, seen, report, corrections)
            ]
            yield pa.RecordBatch.from_pylist(kept, schema=schema)
            reporter.advance(batch.num_rows)


def _keeps(
    record: Record, clean_record: Cleaner, seen: Seen, report: Report, corrections: Corrections
) -> bool:
    """Clean a record in place; tell whether it stays, and count it."""
    split = record["split"]
    reason = clean_record(record)
    corrections.apply(record)
    reason = reason or seen.reason_to_drop(record["id"], split, record["label"])
    if reason is None:
        report.keep(split)
    else:
        report.drop(reason, split, record["source"], record["row"])
    return reason is None


def _text_cleaner(settings: Settings, report: Report) -> Cleaner:
    def clean(record: Record) -> str | None:
        found = record["text"] or ""
        if settings.boilerplate == "remove":
            from tasks.clean.rules.boilerplate import without_boilerplate

            whole, found = found, without_boilerplate(found)
            if found != whole:
                report.change("boilerplate", record["source"], record["row"])
        text = clean_text(found, settings)
        if settings.personal_data:
            from tasks.clean.rules.personal_data import masked

            text, kinds = masked(text, settings.personal_data)
            for kind in kinds:
                report.change(kind, record["source"], record["row"])
            text = clean_text(text, settings) if kinds else text
        record["text"] = text
        record["id"] = hashlib.sha256(text.encode()).hexdigest()
        record["label"] = _clean_label(record["label"], settings)
        reason = reason_to_drop(text, settings)
        if reason is not None or record["split"] == PROTECTED:
            return reason
        return _further_reason_to_drop(text, found, settings)

    return clean


def _further_reason_to_drop(text: str, found: str, settings: Settings) -> str | None:
    """Return which of the rules that are off unless asked for drops a text, or nothing."""
    if settings.languages is not None:
        from tasks.clean.rules.languages import is_other_language

        if is_other_language(text, settings.languages):
            return "language"
    if settings.quality is not None:
        from tasks.clean.rules.quality import fault

        return fault(text, found, settings.quality)
    return None


def _image_cleaner(settings: Settings, _report: Report) -> Cleaner:
    images = Images(settings)

    def clean(record: Record) -> str | None:
        if not record["image"]:
            return "empty"
        where = f"{record['source']}, row {record['row']}"
        record["id"], record["image"] = images.clean(record["image"], where)
        record["label"] = _clean_label(record["label"], settings)
        if settings.blank is not None and record["split"] != PROTECTED:
            from tasks.clean.rules.blank import is_blank

            return "blank" if is_blank(record["image"], settings.blank) else None
        return None

    return clean


def _clean_label(label: str | None, settings: Settings) -> str | None:
    """Let ``"cat"`` and ``"cat "`` be one class."""
    return clean_text(label or "", settings) or None
