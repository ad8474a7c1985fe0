"""Cleans the records of one corpus, a batch at a time."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.clean.images import Alike
from tasks.clean.one_record import clean_label
from tasks.clean.repeated import Conflicts
from tasks.clean.report import Report
from tasks.clean.settings import Settings
from tasks.clean.settle import settle, write_for_a_while
from tasks.clean.shard_work import Kept, Work
from tasks.contracts.files import sha256_of_text, write_json
from tasks.contracts.records import (
    ROWS_PER_GROUP,
    cleaned_schema,
    modality_of,
    read_batches,
    read_schema,
    write_records,
)
from tasks.corpora.columns import PAIR, columns_of, targets_of, with_fields
from tasks.corpora.corrections import Corrections, corrections_of
from tasks.errors import BadInput, BadSettings
from tasks.progress import progress, say

if TYPE_CHECKING:
    from tasks.clean.near_duplicates import Compared

Record = dict[str, Any]
RESPONSE = "response"


def run(records: Path, output: Path, settings: Settings, kept: Kept | None = None) -> None:
    """Write ``records.parquet`` and ``report.json``.

    Args:
        records: the records as found.
        output: the folder to write into.
        settings: how to clean.
        kept: what earlier runs made, and where there is room for what this one makes.

    Raises:
        BadInput: an image is damaged or unlike the others, or no record is left.
        BadSettings: some are of texts and the records are images, or the other way round.
    """
    _check_modality(records, settings)
    report = Report(_reasons(settings))
    num_kept = clean(records, output / "records.parquet", settings, report, kept)
    if not num_kept:
        raise BadInput(
            f"{records}: no record is left after cleaning: {report.dropped()} were dropped"
        )
    write_json(output / "report.json", report.as_json())
    counts = [f"{count:,} {reason}" for reason, count in report.dropped().items() if count]
    say(f"clean: kept {num_kept:,} records; dropped {', '.join(counts) or 'none'}")


def _check_modality(records: Path, settings: Settings) -> None:
    """Let nobody believe that a setting did something that is of the other modality."""
    schema = read_schema(records)
    targets = [field.name for field in targets_of(schema) if field.name in ("tokens", "response")]
    if targets and settings.personal_data:
        raise BadSettings(
            f"{records} has {targets[0]}, which clean hands on as they are: clean.personal_data "
            "would mask them in the text alone: drop it, and mask the source"
        )
    if settings.responses is not None and RESPONSE not in targets:
        raise BadSettings(
            f"{records} has no target 'response', which clean.responses is of: drop it"
        )
    found = modality_of(schema)
    without_effect = [f"clean.{name}" for name in settings.without_effect(found)]
    if without_effect:
        raise BadSettings(
            f"{records} holds {found}s, and these settings are of "
            f"{'images' if found == 'text' else 'texts'}: {', '.join(without_effect)}: drop them"
        )


def clean(
    records: Path, cleaned: Path, settings: Settings, report: Report, kept: Kept | None = None
) -> int:
    """Write the records that stay, and return their number.

    Args:
        records: the records as found.
        cleaned: the file to write.
        settings: how to clean.
        report: where every record is counted.
        kept: what earlier runs made, and where there is room for what this one makes.

    Raises:
        BadInput: an image is damaged or unlike the others, or contents have several labels where
            that is an error.
    """
    found = read_schema(records)
    # Columns that the corpus has beside those of every corpus are handed on as they are.
    fields = [found.field(name) for name in columns_of(found)]
    schema = with_fields(cleaned_schema(modality_of(found)), fields)
    rule = settings.label_conflicts or ("first" if _has_official_split(records) else "majority")
    targets = [field.name for field in targets_of(found) if field.name != PAIR]
    conflicts = Conflicts(rule, targets, is_asked_for=settings.label_conflicts is not None)
    corrections = Corrections(corrections_of(found), partial(clean_label, settings=settings))
    work = Work(settings, kept)
    compared = None
    if settings.near_duplicates is not None:
        from tasks.clean.near_duplicates import Compared

        compared = Compared(settings.near_duplicates, modality_of(found))
    by_response = settings.responses is not None
    merged = _merged(records, schema, work, conflicts, report, corrections, compared, by_response)
    # Whether a record stays may be known when all were seen; until then they lie there as they are.
    is_open = rule != "first" or settings.near_duplicates or settings.rare_classes
    standing = cleaned.with_name(f"{cleaned.name}.standing") if is_open else cleaned
    if is_open:
        write_for_a_while(standing, schema, merged)
    else:
        write_records(standing, schema, merged)
    if kept is not None:
        say(f"clean: {work.num_new:,} of {work.num_shards:,} shards new")
    settle(standing, cleaned, conflicts, rule, settings, report, compared)
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


def _merged(
    path: Path,
    schema: pa.Schema,
    work: Work,
    conflicts: Conflicts,
    report: Report,
    corrections: Corrections,
    compared: "Compared | None",
    by_response: bool,
) -> Iterator[pa.RecordBatch]:
    """Yield the records that stay, shard by shard, and collect what finds near-duplicates of them.

    Args:
        path: the records as found.
        schema: the columns of those that stay.
        work: what becomes of one record, whatever the others are.
        conflicts: the contents so far.
        report: where every record is counted.
        corrections: of labels.
        compared: given the records that stay, where near-duplicates are looked for.
        by_response: a text with another response is another record.
    """
    modality = modality_of(schema)
    alike = Alike()
    with progress("clean") as reporter:
        for shard, alone in work.results(read_batches(path)):
            done = _with_response(alone, shard.column(RESPONSE)) if by_response else alone
            records = _records(shard, done)
            for record in records:
                if record["form"] is not None:
                    alike.check(record["form"], f"{record['source']}, row {record['row']}")
            stays = pa.array(
                [
                    _keeps(record, told, conflicts, report, corrections)
                    for record, told in zip(records, conflicts.told(shard), strict=True)
                ]
            )
            columns = {
                **{name: shard.column(name) for name in schema.names if name != "id"},
                "id": done.column("id"),
                modality: pc.coalesce(done.column("content"), shard.column(modality)),
                "label": pa.array([record["label"] for record in records], pa.string()),
            }
            if PAIR in done.column_names:
                columns[PAIR] = done.column(PAIR)
            kept = pa.table([columns[name] for name in schema.names], schema=schema).filter(stays)
            if compared is not None:
                compared.add(kept, done.column("bands").filter(stays))
            yield from kept.combine_chunks().to_batches()
            reporter.advance(shard.num_rows)


def _with_response(done: pa.Table, responses: pa.Array) -> pa.Table:
    """Return what became of records, their ids being of text and response."""
    both = zip(done.column("id").to_pylist(), responses.to_pylist(), strict=True)
    ids = [sha256_of_text(f"{text}{sha256_of_text(response or '')}") for text, response in both]
    return done.set_column(done.schema.get_field_index("id"), "id", pa.array(ids, pa.string()))


def _records(shard: pa.RecordBatch, done: pa.Table) -> list[Record]:
    """Return what is known of each record of a shard but its content."""
    found = shard.select(["split", "source", "row"]).to_pylist()
    became = done.select(["id", "label", "reason", "changes", "form"]).to_pylist()
    return [{**origin, **record} for origin, record in zip(found, became, strict=True)]


def _keeps(
    record: Record,
    told: str | None,
    conflicts: Conflicts,
    report: Report,
    corrections: Corrections,
) -> bool:
    """Correct a record's label in place; tell whether the record stays, and count it.

    Args:
        record: what is known of it but its content.
        told: its targets, as ``conflicts`` tells them apart.
        conflicts: the contents so far.
        report: where it is counted.
        corrections: of labels.
    """
    split = record["split"]
    for change in record["changes"] or ():
        report.change(change, record["source"], record["row"])
    corrections.apply(record)
    reason = record["reason"] or conflicts.reason_to_drop(
        record["id"], split, record["label"], told
    )
    if reason is None:
        report.keep(split)
    else:
        report.drop(reason, split, record["source"], record["row"])
    return reason is None
