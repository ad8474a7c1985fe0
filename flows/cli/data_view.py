"""``downstream data show``: a corpus as it lies in ``data/``, for people."""

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.terminal import console
from tasks.contracts import files, paths
from tasks.contracts.params import read_params
from tasks.contracts.paths import PARTS, Part
from tasks.errors import BadInput, BadSettings, DownstreamError, one_of

if TYPE_CHECKING:
    import pyarrow as pa

NO_LABEL = "(no label)"
TEXT_CELLS = 100
CLASSES_SHOWN = 30
PLACES = "the first of them"


def show_corpus(corpus: str, part: str | None, dropped: bool, num_rows: int) -> None:
    """Print what a corpus holds: counts, classes, what was dropped, and some records.

    Args:
        corpus: a row of ``corpora``.
        part: one split; none shows all.
        dropped: list what ``clean`` dropped, and where it stands in the source.
        num_rows: how many records to print.

    Raises:
        BadSettings: there is no such corpus.
        BadInput: it was not made yet, or a file of it is damaged.
        DownstreamError: there is no such split.
    """
    corpora = read_params().get("corpora") or {}
    if corpus not in corpora:
        raise BadSettings(f"params.yaml: corpora has no row {corpus!r}; {one_of(corpus, corpora)}")
    if part is not None and part not in get_args(Part):
        raise DownstreamError(f"--part: no split {part!r}; {one_of(part, PARTS)}")
    if num_rows < 0:
        raise DownstreamError(f"--rows: expected a number from 0, found {num_rows}")
    out = console()
    if dropped:
        _show_dropped(out, corpus)
        return
    parts = [one for one in PARTS if part in (None, one)]
    tables = {one: _labels(paths.split(corpus, one), corpus) for one in parts}
    _print(out, f"{corpus}: records by class", _counts(tables))
    _show_verdict(out, corpus)
    for one in parts if num_rows else ():
        _show_records(out, paths.split(corpus, one), one, num_rows)


def _labels(path: Path, corpus: str) -> "Counter[str]":
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    if not path.is_file():
        raise BadInput(f"{path} does not exist yet: `downstream run split@{corpus}`")
    try:
        column = pq.read_table(path, columns=["label"]).column("label")
    except (ArrowException, OSError) as error:
        raise BadInput(
            f"{path} cannot be read ({' '.join(str(error).split()):.100}): "
            f"delete it, then `downstream run split@{corpus}`"
        ) from None
    return Counter(label or NO_LABEL for label in column.to_pylist())


def _counts(tables: dict[Part, "Counter[str]"]) -> Table:
    table = _table()
    table.add_column("class", overflow="fold")
    for part in tables:
        table.add_column(part, justify="right")
    total = sum(tables.values(), Counter[str]())
    for label, _ in total.most_common(CLASSES_SHOWN):
        table.add_row(_plain(label), *(f"{counts[label]:,}" for counts in tables.values()))
    if len(total) > CLASSES_SHOWN:
        shown = {label for label, _ in total.most_common(CLASSES_SHOWN)}
        rest = (sum(n for label, n in one.items() if label not in shown) for one in tables.values())
        table.add_row(f"{len(total) - CLASSES_SHOWN} more", *(f"{count:,}" for count in rest))
    table.add_section()
    table.add_row("all", *(f"{counts.total():,}" for counts in tables.values()), style="bold")
    return table


def _show_dropped(out: Console, corpus: str) -> None:
    report = _read_report(paths.stage_output("clean", corpus) / "report.json", f"clean@{corpus}")
    share = 100 * (1 - report["records_out"] / max(1, report["records_in"]))
    table = _table()
    for column in ("why", "records", *report["splits"], PLACES):
        table.add_column(column, justify="left" if column in ("why", PLACES) else "right")
    for reason, count in report["dropped"].items():
        by_split = (f"{one['dropped'][reason]:,}" for one in report["splits"].values())
        table.add_row(reason, f"{count:,}", *by_split, _places(report["examples"][reason]))
    title = (
        f"{corpus}: {report['records_in']:,} records as found, {report['records_out']:,} kept "
        f"({share:.2f} % dropped)"
    )
    _print(out, title, table)


def _places(examples: list[dict[str, Any]]) -> Text:
    return _plain("\n".join(f"{one['source']}, row {one['row']}" for one in examples))


def _show_verdict(out: Console, corpus: str) -> None:
    """Say what ``validate`` found, where it has run."""
    path = paths.stage_output("validate", corpus) / "result.json"
    failed = paths.STATE / "validate" / corpus / "result.json"
    for found, verdict in ((path, "met"), (failed, "NOT met")):
        if found.is_file():
            result = _read_report(found, f"validate@{corpus}")
            expected = result["expectations"]
            met = sum(one["passed"] for one in expected)
            out.print(f"validate: {met} of {len(expected)} expectations met ({found})")
            for one in expected:
                if not one["passed"]:
                    out.print(Text(f"  {verdict}: {one['table']}: {one['expectation']}"))
            return
    out.print(f"validate: not run yet (downstream run validate@{corpus})", style="dim")


def _read_report(path: Path, stage: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = files.read_json(path)
    except FileNotFoundError:
        raise BadInput(f"{path} does not exist yet: `downstream run {stage}`") from None
    except ValueError as error:
        raise BadInput(
            f"{path} is not JSON ({error}): delete it, then `downstream run {stage}`"
        ) from None
    return found


def _show_records(out: Console, path: Path, part: Part, num_rows: int) -> None:
    batch = _first_records(path, num_rows)
    table = _table()
    for column in ("id", "class", "content"):
        table.add_column(column, overflow="fold")
    for record in batch:
        table.add_row(record["id"][:8], _plain(record["label"] or NO_LABEL), content_of(record))
    _print(out, f"{part}: the first {len(batch)} of {path}", table)


def _first_records(path: Path, num_rows: int) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        batch: pa.RecordBatch | None = next(file.iter_batches(batch_size=num_rows), None)
    return batch.to_pylist() if batch is not None else []


def content_of(record: dict[str, Any]) -> Text:
    """Return a record's content in one line: a text cut to width, an image described."""
    if "text" in record:
        return short_text(record["text"] or "")
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(record["image"] or b"")) as image:
            width, height = image.size
            return Text(f"{image.format}, {width} × {height} pixels, {image.mode}")
    except (UnidentifiedImageError, OSError):
        return Text(f"no image that can be read, {len(record['image'] or b''):,} bytes")


def short_text(text: str) -> Text:
    """Return a text of any script in one line, cut between characters by its width in a terminal.

    Control characters, which could move a terminal's cursor, become spaces.
    """
    line = _plain(" ".join(text.split()))
    line.truncate(TEXT_CELLS, overflow="ellipsis")
    return line


def _plain(text: str) -> Text:
    return Text("".join(one if one.isprintable() or one == "\n" else " " for one in text))


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim")


def _print(out: Console, title: str, table: Table) -> None:
    # A title of rich's own is broken to the table's width.
    out.print(Text(title, style="bold"), soft_wrap=True)
    out.print(table)
