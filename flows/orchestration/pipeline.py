"""The Prefect flow ``downstream``: one task run a stage, named as the stage.

Prefect shows, logs and schedules; what is fresh has one home, DVC, so Prefect's own result cache is
off. The command line imports this module where it runs a flow: a plan must not wait for Prefect.
"""

import os
import queue
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import httpx
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException, TerminationSignal
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed, State
from prefect.tasks import exponential_backoff

from flows.orchestration.artifacts import StagePages, publish
from flows.orchestration.events import announce, verdicts
from flows.orchestration.pool import GpuPool
from flows.plan.fingerprints import current_codes
from flows.run.results import finish
from flows.run.run_lock import active_run
from flows.run.schedule import Schedule
from flows.run.session import Engine, Options, Outcome, Session, most_jobs
from flows.run.slurm import JOBS_AT_ONCE
from flows.run.stage_command import RunStoppedError, TransientError
from flows.upkeep.accept import accept_by_themselves
from tasks.errors import DownstreamError, Unreachable
from tasks.stage_process.devices import usable_devices

RETRIES = 4
RETRY_SECONDS = float(os.environ.get("DOWNSTREAM_RETRY_SECONDS", "2"))
"""How long the first retry waits; each further one twice as long, all with jitter."""
RETRY_JITTER = 0.5

Futures = dict[str, PrefectFuture[Any]]
_prepared: ContextVar[Session | None] = ContextVar("prepared", default=None)
"""A session that the command line has made already, so that it need not be made twice."""


def run_flow(session: Session) -> State[Any]:
    """Run the flow for a session that was made already.

    Raises:
        Unreachable: Prefect's server does not answer.
    """
    _prepared.set(session)
    options = session.options
    try:
        state: State[Any] = downstream(
            targets=list(options.targets),
            jobs=options.jobs,
            force=options.force,
            keep_going=options.keep_going,
            skip_gpu=options.skip_gpu,
            pull=options.pull,
            push=options.push,
            engine=options.engine,
            return_state=True,
        )
    except (httpx.HTTPError, PrefectException, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "API" not in str(error):
            raise
        raise Unreachable(
            f"Prefect's server does not answer ({' '.join(str(error).split())}); stages that had "
            "ended are recorded: see PREFECT_API_URL, or unset it for a temporary server, and "
            "run again"
        ) from error
    return state


@flow(name="downstream", persist_result=False)
def downstream(  # noqa: PLR0913, PLR0917 - the form on Prefect's page
    targets: list[str] | None = None,
    jobs: int | None = None,
    force: bool = False,
    keep_going: bool = False,
    skip_gpu: bool = False,
    pull: bool = False,
    push: bool = False,
    engine: Engine = "local",
    alone: str = "",
) -> State[Any]:
    """Run the stages that are not fresh, independent ones side by side.

    Args:
        targets: stages (``evaluate@reuters-topics``) or all rows of one (``evaluate``), with all
            that lies upstream of them; none runs the whole pipeline.
        jobs: how many CPU stages run at once; by default the number of cores.
        force: run fresh stages too: the targets, or all where there are none.
        keep_going: after a failure, start what does not depend on the stage that failed.
        skip_gpu: leave the GPU stages that would have to run, and what waits on them.
        pull: take results from DVC's remote instead of computing them.
        push: send results to DVC's remote.
        engine: where the stages run: "local", "slurm" as jobs, or "pools": those that need a GPU
            by the workers of the work pool gpu.
        alone: in such a worker, the stage hash of the one target, which is run without its
            upstream.
    """
    options = Options(
        tuple(targets or ()),
        jobs or most_jobs(engine),
        force,
        keep_going,
        skip_gpu,
        pull=pull,
        push=push,
        engine=engine,
        alone=alone,
    )
    with active_run():
        return _run(options)


def _run(options: Options) -> State[Any]:
    """Make the session and run it; automations hear of its verdicts, however it ended."""
    try:
        session = _prepared.get() or _new_session(options)
    except DownstreamError as error:
        return Failed(message=str(error))
    before = verdicts()
    ended = _run_session(session)
    announce(before, str(flow_run.id))
    return ended


def _new_session(options: Options) -> Session:
    codes = current_codes()
    if not options.force:
        accept_by_themselves(options.targets, codes)
    return Session(options, codes)


def _run_session(session: Session) -> State[Any]:
    started = time.monotonic()
    pool = None
    if session.options.engine == "pools" and session.stages:
        try:
            session.pool = pool = GpuPool()
        except DownstreamError as error:
            return Failed(message=str(error))
    session.begin()
    _publish_plan(session)
    run = _Run(session, pool)
    try:
        run.drive()
    except (KeyboardInterrupt, TerminationSignal):
        run.cancel()
        return Cancelled(message="interrupted; what had ended is recorded")
    except BaseException:
        session.stop()  # whatever went wrong here, no stage outlives the run
        raise
    finally:
        session.end()
    if run.errors:
        return Failed(message="\n".join(run.errors))
    if pool and run.is_elsewhere:
        pool.wait_outside()
    results = finish(session, time.monotonic() - started)
    if results:
        description = "The models of this workspace"
        publish(
            "the results", create_table_artifact, results, key="results", description=description
        )
    else:
        text = "No model has been evaluated yet."
        publish("the results", create_markdown_artifact, text, key="results")
    try:
        session.require_sent()
    except DownstreamError as error:
        return Failed(message=str(error))
    return Completed(message=f"{len(session.stages)} stages looked at")


class _Run:
    """Starts tasks as their upstream ends, and hears of their ends through a queue."""

    def __init__(self, session: Session, pool: GpuPool | None) -> None:
        self._session, self._pool = session, pool
        self.is_elsewhere = False
        """Whether it has ended for the while, since nothing is left but stages elsewhere."""
        names = [stage.name for stage in session.stages]
        self._schedule = Schedule(names, session.graph.upstream, session.gpu, *_slots(session))
        self._futures: Futures = {}
        self._ended: queue.Queue[str] = queue.Queue()
        self._transient: set[str] = set()
        self.errors: list[str] = []

    def drive(self) -> None:
        """Run all stages to their end, or to the first failure's."""
        while True:
            while name := self._schedule.start_next():
                self._submit(name)
            if not self._schedule.running:
                break
            name = self._next()
            if name is None:
                self.is_elsewhere = True
                break
            self._futures[name].wait()
            state = self._futures[name].state
            if self._session.outcomes.get(name) == "left":
                self._schedule.fail(name, keep_going=True)
            elif state.is_completed():
                self._schedule.finish(name)
            else:
                self.errors.append(state.message or f"{name} {state.name}")
                self._session.tell(name, "failed")
                self._schedule.fail(name, self._session.options.keep_going)
        if self.errors and self._schedule.skipped:
            skipped = ", ".join(self._schedule.skipped)
            self.errors.append(f"not started because of this: {skipped}")

    def _next(self) -> str | None:
        """Return the next stage that has ended; None if this run may end until one has."""
        pool = self._pool
        while pool and not self.errors:
            with suppress(queue.Empty):
                return self._ended.get(timeout=1)
            if pool.is_all_there_is(self._schedule.running):
                pool.stop()
                for future in self._futures.values():
                    future.wait()
                return None
        return self._ended.get()

    def cancel(self) -> None:
        """End the running stages with SIGTERM, at a second Ctrl-C with SIGKILL."""
        number = signal.SIGTERM
        while True:
            self._session.stop(number)
            try:
                for future in self._futures.values():
                    future.wait()
            except (KeyboardInterrupt, TerminationSignal):
                number = signal.SIGKILL
            else:
                return

    def _submit(self, name: str) -> None:
        stage = task(self._body(name)).with_options(
            name=name,
            task_run_name=name,
            retries=RETRIES,
            retry_delay_seconds=exponential_backoff(RETRY_SECONDS),
            retry_jitter_factor=RETRY_JITTER,
            retry_condition_fn=lambda *_: name in self._transient,
            # No tags: Prefect would ask its server for their limits before each task run, and a
            # server over SQLite often answers 503, after which the client waits for two seconds.
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        upstream = (self._futures.get(other) for other in self._session.graph.upstream[name])
        waited = [other for other in upstream if other]
        future = stage.submit(return_state=False, wait_for=waited)
        self._futures[name] = future
        future.add_done_callback(lambda _: self._ended.put(name))

    def _body(self, name: str) -> Callable[[], State[Any]]:
        def stage() -> State[Any]:
            self._transient.discard(name)
            try:
                outcome = self._perform(name)
            except RunStoppedError:
                return Cancelled(message=f"{name} was interrupted")
            except TransientError as failure:
                self._transient.add(name)
                self._tell_retry(name, failure)
                return Failed(message=str(failure))
            except DownstreamError as failure:
                return Failed(message=str(failure))
            self._session.outcomes[name] = outcome
            return Completed(name=outcome.capitalize(), message=outcome)

        return stage

    def _perform(self, name: str) -> Outcome:
        log = get_run_logger()
        pages = StagePages(name, name in self._session.gpu)

        def heard(line: str) -> None:
            log.info("%s", line)
            pages.hear(line)

        outcome = self._session.perform(name, heard)
        pages.finish(outcome == "ran", self._session.recorder.recorded.get(name))
        return outcome

    def _tell_retry(self, name: str, failure: TransientError) -> None:
        context = TaskRunContext.get()
        left = RETRIES + 1 - context.task_run.run_count if context else 0
        if left > 0:
            self._session.tell(name, f"{failure}; will be tried again ({left} times at most)")


def _slots(session: Session) -> tuple[int, int]:
    """Return how many CPU stages may run at once, and on how many devices the others."""
    if session.options.engine != "local":
        return session.options.jobs, JOBS_AT_ONCE  # there is a queue elsewhere
    return session.options.jobs, len(usable_devices())


def _publish_plan(session: Session) -> None:
    rows = [
        {
            "stage": stage.name,
            "state": stage.state,
            "on": "gpu" if stage.gpu else "cpu",
            "last took (s)": stage.estimated_seconds,
            "why": "; ".join(f"{reason.kind} {reason.what}" for reason in stage.reasons),
        }
        for stage in session.plan.stages
    ]
    description = "What this run would do, and why"
    publish("the plan", create_table_artifact, rows, key="plan", description=description)
