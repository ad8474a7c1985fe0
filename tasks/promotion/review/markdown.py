"""A review as Markdown (``markdown.md.j2``), which terminals and Prefect's pages show.

What a reviewer needs to decide stands first; the whole page, with plots, is the report's HTML.
"""

from typing import Literal

from tasks.metrics.slices import weakest_slice
from tasks.promotion.comparison.page import verdict, worst_slice
from tasks.promotion.review.decisions import outcome
from tasks.promotion.review.report import CARD_PAGE, PAGE, REPORT, Report
from tasks.promotion.review.store import Review
from tasks.reports.page import render
from tasks.tracking.store import pages

NUM_EXAMPLES = 3
"""Flipped records shown in each direction; the page has more."""
EXCERPT_CHARACTERS = 160


def to_markdown(report: Report, form: Literal["page", "short", "terminal"] = "page") -> str:
    """Return a review as Markdown: first what decides, then what changed.

    Args:
        report: the review.
        form: ``page`` for Prefect; ``short`` for what stands above the form, where there is little
            room: what decides, alone; ``terminal`` for the page without its links.
    """
    review, summary, comparison = report.review, report.summary, report.comparison
    return render(
        "tasks/promotion/review/markdown.md.j2",
        form=form,
        review=review,
        summary=summary,
        comparison=comparison,
        headline=outcome(review) if review.decided else verdict(summary["decision"])["headline"],
        links=links(review),
        metrics={metric["name"]: metric for metric in comparison["metrics"]} if comparison else {},
        worst=worst_slice(comparison) if comparison else None,
        # Slices of another head than classification have no accuracy.
        weakest=None
        if "head" in summary["metrics"]
        else weakest_slice(summary["metrics"].get("slices") or ()),
        num_examples=NUM_EXAMPLES,
        num_characters=EXCERPT_CHARACTERS,
    )


def links(review: Review) -> dict[str, str]:
    """Return the pages of a review on the MLflow server, by name; none where there is no server."""
    server = pages()
    if server is None:
        return {}
    subject = review.subject
    page = CARD_PAGE if subject.champion is None else PAGE
    run = f"{server}/#/experiments/{review.experiment_id}/runs/{review.run_id}"
    return {
        "The whole page": f"{run}/artifacts/{REPORT}/{page}",
        "The candidate": f"{server}/#/models/{subject.model}/versions/{subject.candidate}",
    }
