"""GPU stages sent to the work pool ``gpu``, each as a flow run of the deployment ``stage/stage``.

Nothing is kept beside Prefect's server: which flow run is a stage's is told by a tag with its stage
hash, so that two runs that need the same result wait for the same flow run, and a run that starts
again finds what it has sent. A flow run that ended before this one began is of the past: what
failed then is tried anew.

A run that Prefect has started from a deployment does not wait inside its process. When nothing is
left but stages that are elsewhere, it schedules itself for later and ends; the flow run that it
waits for wakes it at its end. So it holds no slot of its own pool, and starts again from the top:
what is done is fresh.
"""

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, Pause, PrefectException
from prefect.runtime import flow_run
from prefect.states import Crashed, Scheduled, State

from flows.run.stage_command import RunStoppedError, TransientError
from tasks.errors import BadSettings, StageFailed
from tasks.progress import say

DEPLOYMENT = "stage/stage"
POLL_SECONDS = float(os.environ.get("DOWNSTREAM_POOL_POLL_SECONDS", "5"))
PATIENCE_SECONDS = float(os.environ.get("DOWNSTREAM_POOL_PATIENCE_SECONDS", "20"))
"""How long a run waits in its process before it ends for the while: a start costs about as much."""
LOOK_AGAIN_SECONDS = 600
"""A run that waits looks again then, whoever was to wake it."""
MOST_CRASHES = 4
LOST_SECONDS = 600
"""A flow run that a worker has taken, and has not begun after that, is lost with its worker."""
WAITING = "Waiting"
"""The state of a run that waits for stages elsewhere."""
WAITS_FOR = "waits-for:"
RETRYABLE = (httpx.HTTPError, PrefectException, OSError, RuntimeError)


class GpuPool:
    """The stages of one run that are sent to workers."""

    def __init__(self) -> None:
        """Find the deployment that runs them.

        Raises:
            BadSettings: there is none on Prefect's server.
        """
        self.away: dict[str, float] = {}
        """The stages that are waited for, and since when."""
        self._flow_runs: dict[str, UUID] = {}
        self._stopped = threading.Event()
        with _client() as client:
            try:
                self._deployment = client.read_deployment_by_name(DEPLOYMENT).id
            except ObjectNotFound:
                raise BadSettings(
                    f"--engine pools: Prefect's server has no deployment {DEPLOYMENT}: "
                    "`prefect deploy --all` makes it"
                ) from None
            self._own = client.read_flow_run(UUID(str(flow_run.id)))
        self._began = self._own.start_time or datetime.now(UTC)

    def run(
        self,
        name: str,
        stage_hash: str,
        send: Callable[[], tuple[str, str]],
        tell: Callable[[str], None],
    ) -> None:
        """Have a stage run to its end; see ``Pool``."""
        self.away[name] = time.monotonic()
        try:
            while True:
                with _asked(name):
                    found = self._find(name, stage_hash)
                if found is None:
                    commit, ref = send()
                    with _asked(name):
                        found = self._start(name, stage_hash, commit, ref)
                self._flow_runs[name] = found.id
                tell(f"in the work pool gpu: flow run {found.name}")
                ended = self._follow(found)
                del self._flow_runs[name]
                if ended.state and ended.state.is_crashed():
                    tell(f"its worker was lost: {ended.state.message}")
                    continue
                return _require_completed(name, ended)
        finally:
            del self.away[name]

    def is_all_there_is(self, running: Collection[str]) -> bool:
        """Tell whether stages that run are all elsewhere, for a while, and this run may end."""
        since = time.monotonic() - PATIENCE_SECONDS
        is_elsewhere = all(self.away.get(name, since) < since for name in running)
        return self._own.deployment_id is not None and is_elsewhere

    def stop(self) -> None:
        """Wait for no stage any more; they go on."""
        self._stopped.set()

    def wait_outside(self) -> None:
        """End this process' part of the flow run until a stage has ended elsewhere.

        Raises:
            Pause: always, which ends the process.
        """
        names = ", ".join(self._flow_runs)
        later = datetime.now(UTC) + timedelta(seconds=LOOK_AGAIN_SECONDS)
        message = f"{names} in the work pool gpu"
        state: State[None] = Scheduled(scheduled_time=later, name=WAITING, message=message)
        own = self._own.id
        with _client() as client:
            tags = {tag for tag in self._own.tags if not tag.startswith(WAITS_FOR)}
            tags |= {f"{WAITS_FOR}{identifier}" for identifier in self._flow_runs.values()}
            client.update_flow_run(own, tags=tags)
            client.set_flow_run_state(own, state, force=True)
            # One that ended before it could know of this has waked nobody.
            if any(_is_over(client.read_flow_run(one)) for one in self._flow_runs.values()):
                _wake(client, [own])
        raise Pause(state=state)

    def _find(self, name: str, stage_hash: str) -> FlowRun | None:
        """Return the flow run to wait for, or whose end this run has to hand on.

        Raises:
            StageFailed: it crashed too often.
        """
        with _client() as client:
            runs = _tagged(client, _tag(stage_hash))
            for run in runs:
                if not _is_over(run) and not _is_lost(client, run):
                    return run
        own = [run for run in runs if run.end_time and run.end_time >= self._began]
        crashes = sum(bool(run.state and run.state.is_crashed()) for run in own)
        if crashes > MOST_CRASHES:
            raise StageFailed(f"{name}: its worker was lost {crashes} times, see {own[-1].name}")
        others = [run for run in own if run.state and not run.state.is_crashed()]
        return max(others, key=lambda run: run.end_time or self._began) if others else None

    def _start(self, name: str, stage_hash: str, commit: str, ref: str) -> FlowRun:
        with _client() as client:
            # Two runs that send the same stage at once count the same, and get the same flow run.
            earlier = len(_tagged(client, _tag(stage_hash)))
            return client.create_flow_run_from_deployment(
                self._deployment,
                parameters={"name": name, "stage_hash": stage_hash, "commit": commit, "ref": ref},
                name=f"{name} {stage_hash[:8]}",
                tags=[_tag(stage_hash)],
                idempotency_key=f"{stage_hash}:{earlier}",
            )

    def _follow(self, run: FlowRun) -> FlowRun:
        """Wait for a flow run's end; a server that is away is waited for too."""
        told = False
        while True:
            try:
                with _client() as client:
                    run = client.read_flow_run(run.id)
                    if _is_over(run) or _is_lost(client, run):
                        return client.read_flow_run(run.id)
                told = False
            except RETRYABLE as error:
                if not told:
                    say(f"warning: Prefect's server does not answer, {run.name} goes on: {error}")
                told = True
            if self._stopped.wait(POLL_SECONDS):
                raise RunStoppedError


def wake_waiting(identifier: UUID) -> None:
    """Start the runs again that wait for a flow run."""
    with _client() as client:
        waiting = FlowRunFilterState(name=FlowRunFilterStateName(any_=[WAITING]))
        runs = _tagged(client, f"{WAITS_FOR}{identifier}", waiting)
        _wake(client, [run.id for run in runs])


def _wake(client: SyncPrefectClient, identifiers: Iterable[UUID]) -> None:
    for identifier in identifiers:
        client.set_flow_run_state(identifier, Scheduled(name="Resuming"), force=True)


def _tag(stage_hash: str) -> str:
    return f"stage-hash:{stage_hash}"


def _tagged(
    client: SyncPrefectClient, tag: str, state: FlowRunFilterState | None = None
) -> list[FlowRun]:
    wanted = FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]), state=state)
    return client.read_flow_runs(flow_run_filter=wanted)


def _is_over(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_final()


def _is_lost(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Tell whether a worker was lost before it could start a flow run; then that is ended."""
    state = run.state
    if state is None or not state.is_pending():
        return False
    if datetime.now(UTC) - state.timestamp < timedelta(seconds=LOST_SECONDS):
        return False
    lost: State[None] = Crashed(message="a worker took it and did not start it")
    client.set_flow_run_state(run.id, lost, force=True)
    return True


def _require_completed(name: str, run: FlowRun) -> None:
    state = run.state
    if state is None or state.is_completed():
        return
    if state.is_cancelled():
        raise StageFailed(f"{name}: its flow run {run.name} was cancelled")
    raise StageFailed(state.message or f"{name}: its flow run {run.name} ended as {state.name}")


@contextmanager
def _asked(name: str) -> Iterator[None]:
    """Turn a server that is away into an error after which the stage is tried again."""
    try:
        yield
    except RETRYABLE as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise TransientError(f"{name}: Prefect's server does not answer: {text}") from error


def _client() -> SyncPrefectClient:
    return get_client(sync_client=True)
