"""``downstream serve``: the deployments of ``prefect.yaml``, run by one process on one machine."""

import asyncio
from typing import Any

from prefect.client.schemas.schedules import CronSchedule
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL

from flows.orchestration.review_runs import FLOW, ask_again
from flows.orchestration.train import PREFECT_YAML, read_deployments
from flows.servers.supervisor import SERVING
from tasks.errors import DownstreamError, Unreachable
from tasks.progress import say

ANSWER_TIMEOUT_SECONDS = 10


def serve() -> None:
    """Register the deployments with the Prefect server and run what it schedules, until stopped.

    Schedules are paused when this process stops, so that no run is late when it starts again.

    Raises:
        DownstreamError: no server is named, or it does not answer.
    """
    api = server()
    runner = Runner(name="downstream", pause_on_shutdown=True)
    made = [deployment(listed) for listed in read_deployments()]
    for each in made:
        runner.add_deployment(each)
        if each.flow_name == FLOW:
            ask_again(f"{each.flow_name}/{each.name}")
    names = ", ".join(f"{each.flow_name}/{each.name}" for each in made)
    say(f"{SERVING}{names} for {api}; Ctrl-C stops. After an edit of {PREFECT_YAML}, start anew")
    asyncio.run(runner.start())


def server() -> str:
    """Return the address of the Prefect server's API.

    Raises:
        DownstreamError: none is named, or it does not answer.
    """
    import requests

    api = PREFECT_API_URL.value()
    if not api:
        raise DownstreamError(
            "serve needs a Prefect server: start one with `prefect server start` and set "
            "PREFECT_API_URL=http://127.0.0.1:4200/api, or call `downstream up`"
        )
    try:
        requests.get(f"{api}/health", timeout=ANSWER_TIMEOUT_SECONDS).raise_for_status()
        open_to_all = requests.get(f"{api}/admin/version", timeout=ANSWER_TIMEOUT_SECONDS).ok
    except requests.RequestException:
        raise Unreachable(
            f"no Prefect server answers at {api}: start it, or correct PREFECT_API_URL"
        ) from None
    if open_to_all:
        say(
            "warning: this Prefect server asks for no secret, so whoever reaches it, a page in a "
            "browser included, can have code run here: set PREFECT_SERVER_API_AUTH_STRING for it, "
            "and PREFECT_API_AUTH_STRING here"
        )
    return api


def deployment(listed: dict[str, Any]) -> RunnerDeployment:
    """Return one entry of ``prefect.yaml`` as a deployment for this process; pools are left out."""
    flow: Flow[..., Any] = load_flow_from_entrypoint(
        listed["entrypoint"], use_placeholder_flow=False
    )
    schedules = [
        CronSchedule(cron=entry["cron"], timezone=entry.get("timezone"))
        for entry in listed.get("schedules") or ()
    ]
    made = flow.to_deployment(
        name=listed["name"],
        schedules=schedules,
        triggers=[DeploymentEventTrigger(**entry) for entry in listed.get("triggers") or ()],
        parameters=listed.get("parameters") or {},
        description=listed.get("description"),
        tags=listed.get("tags") or [],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    if not isinstance(made, RunnerDeployment):
        raise AssertionError("outside an event loop, Prefect makes deployments at once")
    return made
