"""The Prefect flow ``review``: a candidate beside the champion, and a form for a person.

While it waits, the flow run is suspended: no process runs, and nothing is lost when the server or
the worker is restarted. Once answered, Prefect replays it from its top; everything before the form
is found again, not made again. An answer counts for the review whose form it is, and for no other.
"""

from itertools import count
from typing import Annotated, Any, Literal
from uuid import UUID

from prefect import flow
from prefect.artifacts import Artifact, create_markdown_artifact
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Completed, Failed, State
from pydantic import Field, ValidationError

from flows.orchestration.artifacts import publish
from flows.orchestration.review_runs import call, close, waiting_runs
from flows.orchestration.settings import end_with_runner
from flows.run.sync import reconcile_workspace
from tasks.errors import DownstreamError
from tasks.promotion.review.decisions import (
    DONE,
    LONGEST_COMMENT,
    LONGEST_NAME,
    AlreadyDecided,
    BadAnswer,
    decide,
    outcome,
    request_and_decide,
)
from tasks.promotion.review.markdown import to_markdown
from tasks.promotion.review.report import Report, read_report
from tasks.promotion.review.store import Review, find_again
from tasks.promotion.review.subject import NothingToReview

SOMETHING = r"\S"


class Answer(RunInput):
    """What a reviewer fills in."""

    decision: Literal["approve", "reject"] = Field(
        # Prefect's list does so at a click in Chromium 150.
        description="approve makes the candidate the champion. "
        "If the list closes at once, press the down arrow"
    )
    comment: Annotated[str, Field(max_length=LONGEST_COMMENT, pattern=SOMETHING)] = Field(
        description="Why; it is recorded"
    )
    reviewer: Annotated[str, Field(max_length=LONGEST_NAME, pattern=SOMETHING)] = Field(
        description="Who you are; it is recorded"
    )


@flow(name="review", persist_result=False)
def review(model: str) -> State[Any]:
    """Compare a model's candidate with its champion, and let the policy or a person decide.

    Args:
        model: a row of models in params.yaml.
    """
    end_with_runner()
    try:
        reconcile_workspace([model])
        current = request_and_decide(model)
        if current.decided is None:
            return _ask(current)
    except NothingToReview as error:
        return Completed(name="Nothing to review", message=str(error))
    except DownstreamError as error:
        return Failed(message=str(error))
    return _ended(current)


def _ask(current: Review) -> State[Any]:
    name, before, me = f"{current.title} ({current.id[:8]})", str(flow_run.name), UUID(flow_run.id)
    others = [run for run in waiting_runs(current.subject.model) if run.id != me]
    for other in others:
        if other.name == name:
            return Completed(name="Asked already", message=f"flow run {other.id} has the form")
    close(others, f"{current.title} is asked about now")
    call(me, name)
    report = read_report(current)
    _show(report)
    was_asked = before != name and before.startswith(f"{current.subject.model} version ")
    problem = f"{before} is out of date, and an answer to it changes nothing" if was_asked else ""
    for number in count(1):
        again = f"**Asked again: {problem}**\n\n" if problem else ""
        try:
            answer = suspend_flow_run(
                wait_for_input=Answer.with_initial_data(again + to_markdown(report, "short")),
                key=f"{current.id}-{number}",
            )
            current = decide(current, answer.decision, answer.comment, answer.reviewer)
        except ValidationError as error:
            fault = error.errors()[0]
            problem = f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            continue
        except BadAnswer as error:
            problem = str(error)
            continue
        except AlreadyDecided:
            current = find_again(current)
        break
    return _ended(current)


def _show(report: Report) -> None:
    """Publish the review on the flow run's page; what stands there already is left."""
    key, page = f"review-{report.review.subject.model}", to_markdown(report)
    shown = publish("the review", Artifact.get, key)
    if shown and (shown.data, str(shown.flow_run_id)) == (page, str(flow_run.id)):
        return
    description = report.review.title
    publish("the review", create_markdown_artifact, page, key=key, description=description)


def _ended(current: Review) -> State[Any]:
    """Show what was decided, and end with it."""
    _show(read_report(current))
    if current.decided is None:
        raise AssertionError("a review that has ended was decided")
    name = DONE[current.decided["decision"]].capitalize()
    return Completed(name=name, message=f"{current.title}: {outcome(current)}")
