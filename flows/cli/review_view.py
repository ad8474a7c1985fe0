"""Reviews in a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.markdown import Markdown
from rich.table import Table

from flows.orchestration.review_markdown import body, links, title
from flows.terminal import console
from tasks.contracts import files
from tasks.progress import say
from tasks.promotion.review.decisions import told
from tasks.promotion.review.pending import Pending
from tasks.promotion.review.reports import Report
from tasks.promotion.review.store import Review


def print_list(rows: Sequence[Pending]) -> None:
    """Print the registered models, those that wait for a decision first."""
    out = console()
    if not rows:
        out.print("No model of params.yaml is registered: `downstream run` registers them.")
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("model", "candidate", "champion", "state"):
        shown.add_column(column, overflow="fold")
    for row in rows:
        numbers = ["-" if one is None else str(one) for one in (row.candidate, row.champion)]
        shown.add_row(row.model, *numbers, row.state, style="bold" if row.waits else None)
    out.print(shown)


def print_review(report: Report, html: Path | None) -> None:
    """Print what decides, and write the whole page if asked.

    Args:
        report: the review.
        html: the file for the page.
    """
    console().print(Markdown(f"{title(report, '#')}\n\n{body(report)}"))
    for name, address in links(report.review).items():
        say(f"{name}: {address}")
    model = report.review.subject.model
    if html is not None:
        files.write_text(html, report.page)
        say(f"The whole page is in {html}")
    else:
        say(f"With plots and more examples: downstream review show {model} --html FILE")
    if report.review.decided is None:
        say(f"To decide: downstream review approve|reject {model} --comment TEXT")


def print_outcome(review: Review) -> None:
    """Say in a line what has become of a candidate."""
    if review.decided is None:
        say(
            f"{review.title}: waits for a decision: `downstream review show {review.subject.model}`"
        )
    else:
        say(f"{review.title}: {told(review)}")
