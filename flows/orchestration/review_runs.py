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
from prefect.exceptions import PrefectException
from prefect.states import Cancelled

from tasks.progress import say

FLOW = "review"


def waiting_runs(model: str) -> list[FlowRun]:
    """Return the flow runs that wait for a person's answer about a model."""
    suspended = FlowRunFilterStateType(any_=[StateType.PAUSED])
    with _client() as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
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
            client.set_flow_run_state(run.id, Cancelled(message=reason), force=True)


def close_forms(model: str, reason: str) -> None:
    """End the flow runs that still ask; what is decided does not depend on it."""
    try:
        close(waiting_runs(model), reason)
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        say(f"warning: Prefect's server was not told ({type(error).__name__}): its form stays open")


def _client() -> SyncPrefectClient:
    return get_client(sync_client=True)
