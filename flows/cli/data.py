"""The commands ``downstream data …``: a corpus as it lies in ``data/``, for people."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import App, Parameter
from rich.text import Text

from flows.terminal import console, plain, table
from tasks.contracts import files, paths
from tasks.contracts.images import opened
from tasks.contracts.params import read_params, rows_of
from tasks.contracts.paths import PARTS, Part
from tasks.errors import BadInput, BadSettings, DownstreamError, one_of
from tasks.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table

NO_LABEL = "(no label)"
TEXT_CELLS = 100
CLASSES_SHOWN = 30
EXAMPLES = "the first of them"

data = App(name="data", help="Look at the data.")


@data.command
def show(
    corpus: Annotated[str, Parameter(help="A row of corpora.")],
    *,
    part: Annotated[
        str | None, Parameter(help="One split: train, validation or test; none is all.")
    ] = None,
    dropped: Annotated[
        bool, Parameter(help="What clean dropped, and why.", negative="", show_default=False)
    ] = False,
    rows: Annotated[int, Parameter(help="How many records of each split to print.")] = 5,
) -> int:
    """Show a corpus: records by class, the verdict of validate, some records, what was dropped.

    Reads params.yaml and data/; writes nothing.
    """
    _require_corpus(corpus)
    if part is not None and part not in get_args(Part):
        raise DownstreamError(f"--part: no split {part!r}; {one_of(part, PARTS)}")
    _require_rows(rows)
    out = console()
    if dropped:
        _show_dropped(out, corpus)
        return 0
    parts = [known for known in PARTS if part in (None, known)]
    labels = {known: _count_labels(paths.split(corpus, known), corpus) for known in parts}
    _print(out, f"{corpus}: records by class", _label_table(labels))
    _show_verdict(out, corpus)
    for known in parts if rows else ():
        _show_records(out, paths.split(corpus, known), known, rows)
    return 0


@data.command
def labels(
    corpus: Annotated[str, Parameter(help="A row of corpora.")],
    *,
    rows: Annotated[int, Parameter(help="How many of them to print.")] = 20,
) -> int:
    """List the labels of train and validation that are likely wrong; it changes none of them.

    Reads params.yaml, data/split/ and data/sources/CORPUS/corrections.csv; writes all of them to
    .downstream/labels/CORPUS.csv. Copy id and label of those that are wrong indeed, with your name
    and the reason, to corrections.csv (id,label,who,why): collect and clean apply it.
    """
    _require_corpus(corpus)
    _require_rows(rows)
    from flows.corpora.labels import review_labels, write_report

    review = review_labels(corpus)
    path = paths.STATE / "labels" / f"{corpus}.csv"
    write_report(review, path)
    shown = table("id", "given", "likely", "probability of given", "content")
    for each in review.suspects[:rows]:
        content = content_of({"text" if isinstance(each.content, str) else "image": each.content})
        confidence = f"{each.confidence:.3f}"
        shown.add_row(each.identity[:8], each.given, each.suggested, confidence, content)
    out = console()
    title = (
        f"{corpus}: {len(review.suspects):,} of {review.num_records:,} labels are likely wrong "
        f"({path})"
    )
    _print(out, title, shown)
    if review.num_decided:
        out.print(f"{review.num_decided:,} more are decided by corrections.csv", style="dim")
    if review.too_rare:
        rare = ", ".join(plain(label) for label in review.too_rare[:CLASSES_SHOWN])
        out.print(f"too rare to be judged: {rare}", style="dim", soft_wrap=True)
    return 0


@data.command
def dropped(
    corpus: Annotated[str, Parameter(help="A row of corpora.")],
    *,
    reason: Annotated[
        str | None, Parameter(help="One reason, near_duplicate for example; none is all.")
    ] = None,
    rows: Annotated[int, Parameter(help="How many records to print; 0 is all.")] = 20,
) -> int:
    """List what clean dropped or changed, record by record, as it was found.

    Reads params.yaml and data/, and cleans the records again to tell; writes nothing.
    """
    from tasks.clean.dropped import as_found, listed
    from tasks.clean.settings import Settings

    _require_corpus(corpus)
    _require_rows(rows)
    output, records = paths.stage_output("clean", corpus), paths.collected(corpus)
    report = _read_report(output / "report.json", f"clean@{corpus}")
    if not records.is_file():
        raise BadInput(f"{records} does not exist: `downstream run collect@{corpus}`")
    used = _read_report(output / "settings.json", f"clean@{corpus}")["settings"]
    listing = listed(
        records, Settings.parse(used, f"{output / 'settings.json'}: settings"), paths.STATE
    )
    counts = {**report["dropped"], **report.get("changed", {})}
    _require_reason(reason, counts, corpus)
    touched = [record for record in listing.touched if reason in (None, record.reason)]
    told = touched[:rows] if rows else touched
    found = as_found(records, (record.place for record in told))
    shown = table("why", "source, row", "split", "class", "stays", "content as found")
    for record in told:
        content = found[record.place]
        stays = f"{record.of[0]}, row {record.of[1]}" if record.of else ""
        shown.add_row(
            record.reason, f"{record.place[0]}, row {record.place[1]}", content["split"] or "",
            content["label"] or NO_LABEL, stays, content_of(content),
        )  # fmt: skip
    out = console()
    wanted = f" ({reason})" if reason else ""
    _print(out, f"{corpus}: {len(told):,} of {len(touched):,} records{wanted}", shown)
    counted = Counter({why: count for why, count in listing.dropped().items() if count})
    if counted != Counter({why: count for why, count in report["dropped"].items() if count}):
        out.print(
            f"The report of clean@{corpus} counts otherwise: its records or this code have changed "
            f"since (downstream run clean@{corpus})"
        )
    return 0


@data.command
def left_out(
    corpus: Annotated[str, Parameter(help="A row of corpora.")],
    *,
    reason: Annotated[
        str | None, Parameter(help="One reason, near_duplicates for example; none is all.")
    ] = None,
    rows: Annotated[int, Parameter(help="How many records to print; 0 is all.")] = 20,
) -> int:
    """List the records that split left out, since what belongs together stood in two splits.

    Reads params.yaml and data/, and divides the records again to tell; writes nothing.
    """
    from flows.corpora.left_out import left_out_of

    _require_corpus(corpus)
    _require_rows(rows)
    records = paths.cleaned(corpus)
    if not records.is_file():
        raise BadInput(f"{records} does not exist: `downstream run clean@{corpus}`")
    used = _read_report(paths.stage_output("split", corpus) / "settings.json", f"split@{corpus}")
    found = left_out_of(records, used)
    _require_reason(reason, sorted({record["why"] for record in found}), corpus)
    touched = [record for record in found if reason in (None, record["why"])]
    told = touched[:rows] if rows else touched
    shown = table("why", "of", "source, row", "class", "content")
    for record in told:
        shown.add_row(
            record["why"], record["of"], f"{record['source']}, row {record['row']}",
            record["label"] or NO_LABEL, content_of(record),
        )  # fmt: skip
    title = f"{corpus}: {len(told):,} of {len(touched):,} records that split left out"
    _print(console(), title, shown)
    return 0


@data.command
def docs(corpus: Annotated[str, Parameter(help="A row of corpora.")]) -> int:
    """Build the Data Docs of a corpus: Great Expectations' pages on what validate expects of it.

    Reads params.yaml and data/split/; writes .downstream/docs/CORPUS/index.html and what it leads
    to, and keeps them with a run in MLflow.
    """
    _require_corpus(corpus)
    for part in PARTS:
        _require_split(paths.split(corpus, part), corpus)
    from flows.corpora.docs import INDEX, build_docs, keep_docs, num_not_met
    from tasks.contracts.params import stage_settings

    settings = stage_settings(read_params(), "validate", corpus)
    folder = paths.STATE / "docs" / corpus
    with files.new_folder(folder) as made:
        suites = build_docs(corpus, settings, made)
    met = len(suites) - num_not_met(suites)
    say(f"{folder / INDEX}: {met} of {len(suites)} suites are met")
    keep_docs(corpus, settings, folder, suites)
    return 0


@data.command
def profile(corpus: Annotated[str, Parameter(help="A row of corpora.")]) -> int:
    """Write what a corpus is like now, for later versions of it to be compared with.

    Reads params.yaml and data/split/; writes data/sources/CORPUS.profile.json, which belongs in
    git. Without `drift` in corpora.CORPUS.validate nothing is compared.
    """
    _require_corpus(corpus)
    from tasks.corpora.profile import profile_of, reference_of

    parts = {part: paths.split(corpus, part) for part in PARTS}
    for path in parts.values():
        _require_split(path, corpus)
    path = reference_of(corpus)
    found = profile_of(parts)
    files.write_json(path, found)
    say(
        f"{path}: {found['records']:,} records, {len(found['labels']):,} classes, "
        f"{len(found['words']):,} words; belongs in git. Compared where corpora.{corpus}.validate "
        "has `drift: {}`"
    )
    return 0


def _require_split(path: Path, corpus: str) -> None:
    if not path.is_file():
        raise BadInput(f"{path} does not exist yet: `downstream run split@{corpus}`")


def _require_rows(rows: int) -> None:
    if rows < 0:
        raise DownstreamError(f"--rows: expected a number from 0, found {rows}")


def _require_reason(reason: str | None, known: "Iterable[str]", corpus: str) -> None:
    if reason is not None and reason not in known:
        raise DownstreamError(f"--reason: no {reason!r} in {corpus}; {one_of(reason, known)}")


def _require_corpus(corpus: str) -> None:
    corpora = rows_of(read_params(), "corpora")
    if corpus not in corpora:
        raise BadSettings(f"params.yaml: corpora has no row {corpus!r}; {one_of(corpus, corpora)}")


def _count_labels(path: Path, corpus: str) -> "Counter[str]":
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    _require_split(path, corpus)
    try:
        column = pq.read_table(path, columns=["label"]).column("label")
    except (ArrowException, OSError) as error:
        raise BadInput(
            f"{path} cannot be read ({' '.join(str(error).split()):.100}): "
            f"delete it, then `downstream run split@{corpus}`"
        ) from None
    return Counter(label or NO_LABEL for label in column.to_pylist())


def _label_table(labels: dict[Part, "Counter[str]"]) -> "Table":
    shown = table("class", *labels, right=labels)
    total = sum(labels.values(), Counter[str]())
    common = [label for label, _ in total.most_common(CLASSES_SHOWN)]
    for label in common:
        shown.add_row(label, *(f"{counts[label]:,}" for counts in labels.values()))
    if len(total) > CLASSES_SHOWN:
        rest = (
            counts.total() - sum(counts[label] for label in common) for counts in labels.values()
        )
        shown.add_row(f"{len(total) - CLASSES_SHOWN} more", *(f"{count:,}" for count in rest))
    shown.add_section()
    shown.add_row("all", *(f"{counts.total():,}" for counts in labels.values()), style="bold")
    return shown


def _show_dropped(out: "Console", corpus: str) -> None:
    report = _read_report(paths.stage_output("clean", corpus) / "report.json", f"clean@{corpus}")
    share = 100 * (1 - report["records_out"] / max(1, report["records_in"]))
    splits = report["splits"]
    shown = table("why", "records", *splits, EXAMPLES, right=("records", *splits))
    for reason, count in report["dropped"].items():
        by_split = (f"{split['dropped'][reason]:,}" for split in splits.values())
        examples = (
            f"{example['source']}, row {example['row']}" for example in report["examples"][reason]
        )
        shown.add_row(reason, f"{count:,}", *by_split, "\n".join(examples))
    title = (
        f"{corpus}: {report['records_in']:,} records as found, {report['records_out']:,} kept "
        f"({share:.2f} % dropped)"
    )
    _print(out, title, shown)


def _show_verdict(out: "Console", corpus: str) -> None:
    """Say what ``validate`` found, where it has run."""
    passed = paths.stage_output("validate", corpus) / "result.json"
    failed = paths.STATE / "validate" / corpus / "result.json"
    for path, verdict in ((passed, "met"), (failed, "NOT met")):
        if path.is_file():
            expectations = _read_report(path, f"validate@{corpus}")["expectations"]
            missed = [each for each in expectations if not each["passed"]]
            met = len(expectations) - len(missed)
            out.print(f"validate: {met} of {len(expectations)} expectations met ({path})")
            for each in missed:
                how = each.get("severity", verdict)
                out.print(f"  {how}: {each['table']}: {each['expectation']}")
            return
    out.print(f"validate: not run yet (downstream run validate@{corpus})", style="dim")


def _read_report(path: Path, stage: str) -> dict[str, Any]:
    try:
        report: dict[str, Any] = files.read_json(path)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist yet: `downstream run {stage}`") from None
    except ValueError as error:
        raise BadInput(
            f"{path} is not JSON ({error}): delete it, then `downstream run {stage}`"
        ) from None
    return report


def _show_records(out: "Console", path: Path, part: Part, num_rows: int) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=num_rows), None)
    records = batch.to_pylist() if batch is not None else []
    shown = table("id", "class", "content")
    for record in records:
        shown.add_row(record["id"][:8], record["label"] or NO_LABEL, content_of(record))
    _print(out, f"{part}: the first {len(records)} of {path}", shown)


def content_of(record: dict[str, Any]) -> Text:
    """Return a record's content in one line: a text cut to width, an image described."""
    if "text" in record:
        return short_text(record["text"] or "")
    content = record["image"] or b""
    try:
        image = opened(content, "it")
    except BadInput:
        return Text(f"no image that can be read, {len(content):,} bytes")
    return Text(f"{image.format}, {image.width} × {image.height} pixels, {image.mode}")


def short_text(text: str) -> Text:
    """Return a text of any script in one line, cut between characters by its width in a terminal.

    Control characters, which could move a terminal's cursor, become spaces.
    """
    line = Text(plain(" ".join(text.split())))
    line.truncate(TEXT_CELLS, overflow="ellipsis")
    return line


def _print(out: "Console", title: str, shown: "Table") -> None:
    # A title of rich's own is broken to the table's width.
    out.print(title, style="bold", soft_wrap=True)
    out.print(shown)
