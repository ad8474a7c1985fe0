"""The commands ``downstream review …``: what the Prefect flow ``review`` does, without a server."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from flows.terminal import console, plain, table
from tasks.contracts import files
from tasks.progress import say

if TYPE_CHECKING:
    from tasks.promotion.review.pending import Pending
    from tasks.promotion.review.report import Report
    from tasks.promotion.review.store import Review

review = App(name="review", help="Look at candidates beside their champions, and decide.")

Model = Annotated[str, Parameter(help="A row of models: the registered model's name.")]
Comment = Annotated[str, Parameter(help="Why; it is recorded.")]
Reviewer = Annotated[
    str | None,
    Parameter(help="Who decides; by default DOWNSTREAM_REVIEWER, or git's user.name and email."),
]

Sign = Annotated[
    Path | None,
    Parameter(help="An SSH key of the reviewer's, with which ssh-keygen signs the decision."),
]


@review.command(name="list")
def list_reviews() -> int:
    """List the candidates, their champions, and what becomes of them.

    Reads params.yaml and the registry in MLflow, and brings that in step with the workspace first,
    as sync does; writes what an interrupted decision has left undone.
    """
    from flows.run.sync import reconcile_workspace
    from tasks.contracts.params import read_params, rows_of
    from tasks.promotion.review.pending import pending

    reconcile_workspace(rows_of(read_params(), "models"))
    print_list(pending())
    return 0


@review.command
def show(
    model: Model,
    *,
    html: Annotated[
        Path | None, Parameter(help="Write the whole page, with plots and examples, to this file.")
    ] = None,
) -> int:
    """Show the comparison of a candidate with the champion; it is made if there is none yet.

    Reads data/split/, params.yaml and the versions in MLflow; writes the review to MLflow.
    """
    from flows.run.sync import reconcile_workspace
    from tasks.promotion.review.report import read_report
    from tasks.promotion.review.requests import request

    reconcile_workspace([model])
    print_review(read_report(request(model)), html)
    return 0


@review.command
def request(
    *models: Annotated[str, Parameter(help="Rows of models; none is every one with a candidate.")],
) -> int:
    """Compare candidates with their champions, and let the policy of params.yaml decide.

    Reads data/split/, params.yaml and the versions in MLflow; writes the reviews to MLflow, and,
    where the policy decides by itself, the decision with the aliases and the audit log.
    """
    from flows.run.sync import reconcile_workspace
    from tasks.contracts.params import read_params, rows_of
    from tasks.promotion.review.decisions import request_and_decide
    from tasks.promotion.review.pending import with_candidate

    reconcile_workspace(models or rows_of(read_params(), "models"))
    for model in models or with_candidate():
        print_outcome(request_and_decide(model))
    return 0


@review.command
def approve(model: Model, *, comment: Comment, reviewer: Reviewer = None, sign: Sign = None) -> int:
    """Make the candidate the champion, if it still is what was reviewed.

    Reads the review and the version in MLflow, data/split/ and the code; writes the aliases
    champion and previous, and an entry of the audit log.
    """
    return _decide(model, "approve", comment, reviewer, sign)


@review.command
def reject(model: Model, *, comment: Comment, reviewer: Reviewer = None, sign: Sign = None) -> int:
    """Turn the candidate down; the champion stays.

    Reads the review in MLflow; writes an entry of the audit log, and a tag of the version.
    """
    return _decide(model, "reject", comment, reviewer, sign)


def _decide(model: str, decision: str, comment: str, reviewer: str | None, key: Path | None) -> int:
    from tasks.promotion.review.decisions import decide, outcome
    from tasks.promotion.review.store import latest

    decided = decide(latest(model), decision, comment, reviewer, key)
    print_outcome(decided)
    if "PREFECT_API_URL" in os.environ:
        from flows.orchestration.review_runs import close_forms

        close_forms(model, outcome(decided))
    return 0


def print_list(rows: Sequence["Pending"]) -> None:
    """Print the registered models, those that wait for a decision first."""
    out = console()
    if not rows:
        out.print("No model of params.yaml is registered: `downstream run` registers them.")
        return
    shown = table("model", "candidate", "champion", "state")
    for row in rows:
        versions = ["-" if one is None else str(one) for one in (row.candidate, row.champion)]
        shown.add_row(row.model, *versions, row.state, style="bold" if row.waits else None)
    out.print(shown)


def print_review(report: "Report", html: Path | None) -> None:
    """Print what decides, and write the whole page if asked.

    Args:
        report: the review.
        html: the file for the page.
    """
    from rich.markdown import Markdown

    from tasks.promotion.review.markdown import links, to_markdown

    console().print(Markdown(plain(to_markdown(report, "terminal"))))
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


def print_outcome(review: "Review") -> None:
    """Say in a line what has become of a candidate."""
    from tasks.promotion.review.decisions import outcome

    waits = f"waits for a decision: `downstream review show {review.subject.model}`"
    say(f"{review.title}: {waits if review.decided is None else outcome(review)}")
