"""The suspended flow runs that hold a review's form, on the Prefect server."""

from collections.abc import Sequence
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectException
from prefect.states import Cancelled

from tasks.progress import say

FLOW = "review"
OF_REVIEWS = FlowFilter(name=FlowFilterName(any_=[FLOW]))
CLOSED = "Closed"
"""The state of a flow run whose form needs no answer."""
WITHOUT_END = (
    StateType.PENDING,
    StateType.RUNNING,
    StateType.CRASHED,
    StateType.CANCELLING,
    StateType.CANCELLED,
)
"""How a flow run is left by the process that served it, if that is stopped or killed."""


def waiting_runs(model: str) -> list[FlowRun]:
    """Return the flow runs that wait for a person's answer about a model."""
    suspended = FlowRunFilterStateType(any_=[StateType.PAUSED])
    with _client() as client:
        runs = client.read_flow_runs(
            flow_filter=OF_REVIEWS,
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=suspended)),
        )
    return [run for run in runs if run.name.startswith(f"{model} version ")]


def call(flow_run_id: UUID, name: str) -> None:
    """Name a flow run for the review that it asks about."""
    with _client() as client:
        client.update_flow_run(flow_run_id, name=name)


def close(runs: Sequence[FlowRun], reason: str) -> None:
    """End flow runs whose form needs no answer any more."""
    with _client() as client:
        for run in runs:
            client.set_flow_run_state(run.id, Cancelled(name=CLOSED, message=reason), force=True)


def ask_again(deployment: str) -> None:
    """Schedule the reviews again whose flow runs have ended with the process that served them.

    A runner that stops cancels what it runs, also what is suspended and about to exit; one that is
    killed leaves it as it was. The last flow run of each model counts.

    Args:
        deployment: the flow's, as ``flow/deployment``.
    """
    with _client() as client:
        deployment_id = client.read_deployment_by_name(deployment).id
        runs = client.read_flow_runs(
            flow_filter=OF_REVIEWS,
            # The server's answer has a limit.
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        )
        last_by_model = {run.parameters.get("model"): run for run in reversed(runs)}
        interrupted = [
            run
            for run in last_by_model.values()
            if run.state and run.state.type in WITHOUT_END and run.state.name != CLOSED
        ]
        for run in interrupted:
            client.create_flow_run_from_deployment(deployment_id, parameters=run.parameters)
    close(interrupted, "the process that served it was stopped, so it is asked again")


def close_forms(model: str, reason: str) -> None:
    """End the flow runs that still ask; what is decided does not depend on it."""
    try:
        close(waiting_runs(model), reason)
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        say(f"warning: Prefect's server was not told ({type(error).__name__}): its form stays open")


def _client() -> SyncPrefectClient:
    return get_client(sync_client=True)
