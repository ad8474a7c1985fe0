"""The commands ``downstream review …``: what the Prefect flow ``review`` does, without a server."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tasks.progress import say

review = App(name="review", help="Look at candidates beside their champions, and decide.")

Model = Annotated[str, Parameter(help="A row of models: the registered model's name.")]
Comment = Annotated[str, Parameter(help="Why; it is recorded.")]
Reviewer = Annotated[
    str | None,
    Parameter(help="Who decides; by default DOWNSTREAM_REVIEWER, or git's user.name and email."),
]


@review.command(name="list")
def list_reviews() -> int:
    """List the candidates, their champions, and what becomes of them.

    Reads params.yaml and the registry in MLflow, and brings that in step with the workspace first,
    as sync does; writes what an interrupted decision has left undone.
    """
    from flows.cli.review_view import print_list
    from flows.run.sync import reconcile_workspace
    from tasks.contracts.params import read_params
    from tasks.promotion.review.pending import pending

    reconcile_workspace(read_params()["models"])
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
    from flows.cli.review_view import print_review
    from flows.run.sync import reconcile_workspace
    from tasks.promotion.review.reports import read_report
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
    from flows.cli.review_view import print_outcome
    from flows.run.sync import reconcile_workspace
    from tasks.contracts.params import read_params
    from tasks.promotion.review.pending import with_candidate
    from tasks.promotion.review.policies import request_and_decide

    reconcile_workspace(models or read_params()["models"])
    for model in models or with_candidate():
        print_outcome(request_and_decide(model))
    return 0


@review.command
def approve(model: Model, *, comment: Comment, reviewer: Reviewer = None) -> int:
    """Make the candidate the champion, if it still is what was reviewed.

    Reads the review and the version in MLflow, data/split/ and the code; writes the aliases
    champion and previous, and an entry of the audit log.
    """
    return _decide(model, "approve", comment, reviewer)


@review.command
def reject(model: Model, *, comment: Comment, reviewer: Reviewer = None) -> int:
    """Turn the candidate down; the champion stays.

    Reads the review in MLflow; writes an entry of the audit log, and a tag of the version.
    """
    return _decide(model, "reject", comment, reviewer)


def _decide(model: str, decision: str, comment: str, reviewer: str | None) -> int:
    from flows.cli.review_view import print_outcome
    from tasks.promotion.review.decisions import decide, told
    from tasks.promotion.review.store import latest

    decided = decide(latest(model), decision, comment, reviewer)
    print_outcome(decided)
    _close_forms(model, told(decided))
    return 0


def _close_forms(model: str, reason: str) -> None:
    """End the flow runs that still ask; what is decided does not depend on it."""
    if "PREFECT_API_URL" not in os.environ:
        return
    import httpx
    from prefect.exceptions import PrefectException

    from flows.orchestration.review_runs import close, waiting_runs

    try:
        close(waiting_runs(model), reason)
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        say(f"warning: Prefect's server was not told ({type(error).__name__}): its form stays open")
