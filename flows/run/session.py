"""What the stages of one run share: the recorder, their processes, and where their lines go."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal, Protocol

from flows.dvc.added import added_are_recorded
from flows.dvc.graph import CODE, Graph, load_graph
from flows.dvc.recorder import Job, Recorder
from flows.plan.fingerprints import are_written, num_devices
from flows.plan.plan import Plan, differs, make_plan
from flows.run.slurm import JOBS_AT_ONCE, SlurmJobs
from flows.run.stage_command import Processes, TransientError
from flows.sharing.exchange import Exchange
from flows.sharing.work_tree import require_origin, send_work_tree
from flows.terminal import duration
from tasks.errors import BadSettings, StageFailed, Unreachable
from tasks.progress import say
from tasks.stage_process import kept_results
from tasks.stage_process.stage_hash import entry_hash

Engine = Literal["local", "slurm", "pools"]
Outcome = Literal["ran", "restored", "recommitted", "fresh", "left"]
"""``left``: a GPU stage that would have to run, under ``--skip-gpu``."""


@dataclass(frozen=True)
class Options:
    """How to run; never what to compute."""

    targets: tuple[str, ...] = ()
    jobs: int = 1
    """How many CPU stages run at once."""
    force: bool = False
    """Run fresh stages too: the targets, or all where there are none."""
    keep_going: bool = False
    skip_gpu: bool = False
    """Leave the GPU stages that would have to run, and what waits on them."""
    pull: bool = False
    """Take results from DVC's remote instead of computing them."""
    push: bool = False
    """Send results to DVC's remote."""
    engine: Engine = "local"
    """Where the stages run: on this machine, as jobs of SLURM, or those that need a GPU by the
    workers of Prefect's work pool ``gpu``."""
    alone: str = ""
    """In such a worker: the stage hash that the one target has to have, which is run without a look
    at its upstream; what it reads is taken from DVC's remote."""


class Pool(Protocol):
    """Runs stages on other machines, which share DVC's remote and a git remote with this one."""

    def run(
        self,
        name: str,
        stage_hash: str,
        send: Callable[[], tuple[str, str]],
        tell: Callable[[str], None],
    ) -> None:
        """Have a stage run to its end, after which DVC's remote has its result.

        Args:
            name: the stage.
            stage_hash: what its result is made from.
            send: puts what it needs where a worker can fetch it; returns the commit and its ref.
            tell: is given a line for each thing that happens.

        Raises:
            StageFailed: it ended with an error, of which the message is handed on.
            RunStoppedError: ``stop`` was called; it goes on nevertheless.
        """

    def stop(self) -> None:
        """Wait for no stage any more."""


class Session:
    """One run: from the plan to the last record."""

    def __init__(
        self,
        options: Options,
        codes: Mapping[str, str],
        devices_of: Callable[[Iterable[str]], dict[str, int]] = num_devices,
    ) -> None:
        """Bring up to date what no plan lists, then plan.

        Args:
            options: how to run.
            codes: the code fingerprint of every ``stage@row``, as it is now.
            devices_of: tells on how many devices each of some GPU stages trains.

        Raises:
            DownstreamError: a target names no stage, or the workspace cannot be read.
        """
        if options.engine == "pools":
            _require_shared(options)
            options = replace(options, pull=True, push=True)  # results come and go by the remote
        self.options = options
        self.processes = Processes()
        self.jobs: SlurmJobs | None = None
        """Where the stages run as jobs."""
        if options.engine == "slurm":
            self.jobs = SlurmJobs(lambda name: self.gpu.get(name, 0))
        self.pool: Pool | None = None
        """Where the GPU stages run, if not here."""
        self.outcomes: dict[str, Outcome] = {}
        self.forced: set[str] = set()
        self.gpu: dict[str, int] = {}
        """On how many devices each GPU stage trains."""
        self.graph = self._read_graph()
        selected = [*options.targets] if options.alone else self.graph.select(options.targets)
        self._width = max(map(len, selected), default=0)
        self._niced: set[str] = set()
        self._exchange: Exchange | None = None
        self.not_sent: dict[str, str] = {}
        """What ``--push`` could not send, and why."""
        if options.pull or options.push:
            self._exchange = Exchange(options.pull, options.push)
        if options.alone:
            self._take_inputs(*options.targets)
        elif not added_are_recorded(self.graph):
            for name in self.recorder.added_files():
                self._fetch_added(name)
                self.recorder.begin(name)  # one that was edited is recorded as it is now
        if CODE in self.graph.stages:
            # DVC knows nothing of a library that was upgraded, nor of an edit in the last moments.
            self.forced = set() if are_written(codes) else {CODE}
            if self.forced or differs(self.graph, CODE):
                self.perform(CODE, on_line=lambda _: None)
        self.plan: Plan = make_plan(self.graph, codes, selected)
        self.forced = forced_stages(options, selected) | _misrecorded(self.plan)
        wanted = {stage.name for stage in self.plan.unfresh} | self.forced
        self.stages = [stage for stage in self.plan.stages if stage.name in wanted]
        self.gpu = devices_of([stage.name for stage in self.stages if stage.gpu])
        if self.gpu:
            self._niced = wanted - self.gpu.keys()
        if self.stages:
            _ = self.recorder  # made here, in one thread

    @cached_property
    def recorder(self) -> Recorder:
        """The workspace as DVC sees it, read when it is first needed: at 2,000 stages for seconds.

        Raises:
            BadSettings: DVC cannot read it.
        """
        return Recorder(in_batches=True)

    def end(self) -> None:
        """Have all that was done in ``dvc.lock``, and sent, however the run has ended."""
        if "recorder" in vars(self):
            self.recorder.flush()
        if self._exchange:
            self.not_sent = self._exchange.finish(self.processes.stopping)

    def require_sent(self) -> None:
        """Check that all was sent that was to be sent.

        Raises:
            StageFailed: something was not.
        """
        if self.not_sent:
            name, why = next(iter(self.not_sent.items()))
            raise StageFailed(
                f"not sent, though recorded here: {', '.join(self.not_sent)}; {name}: {why}: "
                "`downstream run --push` sends what is missing"
            )

    def _read_graph(self) -> Graph:
        try:
            return load_graph()
        except BadSettings:
            _ = self.recorder  # it rebuilds a torn dvc.lock
            return load_graph()

    @property
    def left(self) -> list[str]:
        """The GPU stages that ``--skip-gpu`` has left."""
        return [name for name, outcome in self.outcomes.items() if outcome == "left"]

    @property
    def not_reached(self) -> list[str]:
        """The stages that were to be looked at and were not: something upstream was left."""
        return [stage.name for stage in self.stages if stage.name not in self.outcomes]

    def begin(self) -> None:
        """Make the room for kept results what this run expects; called once, before any stage."""
        if kept_results.names():
            self.recorder.sweep()
        kept_results.forget(self.forced)
        if self._exchange and self.options.pull:
            missing = [stage for stage in self.stages if stage.name not in self.forced]
            self._exchange.fetch_early(missing, self.graph.lock)
        if self._exchange and self.options.push:
            for name in self.recorder.added_files():
                self._exchange.send_added(name, self.recorder.added_contents(name))
            waiting = {stage.name for stage in self.stages}
            for stage in self.plan.stages:
                if stage.name not in waiting:
                    self._send(stage.name)

    def _take_inputs(self, name: str) -> None:
        """Take what a stage reads from the remote, and nothing else."""
        if self._exchange is None or name not in self.graph.stages:
            raise StageFailed(f"{name}: no stage of dvc.yaml that could be run alone")
        inputs = self.recorder.inputs(name)
        if not self._exchange.fetch_added(name, inputs.contents):
            raise StageFailed(
                f"{name}: DVC's remote {self._exchange.name} does not have what it reads: do the "
                "run that sent it and this worker use the same remote?"
            )
        self.recorder.lay_out_inputs(name)

    def _fetch_added(self, name: str) -> None:
        """Take what was ``dvc add``ed and does not lie here from the remote."""
        if self._exchange and self.options.pull:
            self._exchange.fetch_added(name, self.recorder.added_contents(name, missing=True))
            self.recorder.lay_out(name)

    def _fetch(self, name: str) -> bool:
        """Take a stage's result from the remote into DVC's cache; tell whether it came."""
        if not self._exchange or not self.options.pull or name in self.forced or name == CODE:
            return False
        wanted = self.recorder.wanted(name)
        try:
            return wanted is not None and self._exchange.fetch(name, wanted)
        except Unreachable as failure:
            raise TransientError(
                f"{name}: its result cannot be looked for: {failure}: try again later, or without "
                "--pull to compute it"
            ) from failure

    def _send(self, name: str) -> None:
        """Begin to send a stage's recorded result to the remote."""
        if self._exchange and self.options.push and name != CODE:
            recorded = self.recorder.recorded.get(name)
            self._exchange.send(name, recorded or entry_hash(self.graph.lock[name]))

    def perform(self, name: str, on_line: Callable[[str], None]) -> Outcome:
        """Do what is left to do for a stage whose upstream is done: nothing, restore or run.

        Args:
            name: the stage.
            on_line: is given each line that the stage prints, beside the terminal.
        """
        started = time.monotonic()
        runs = not (self.options.skip_gpu and name in self.gpu)
        if self.options.alone and name != CODE:
            self._require_hash(name)
        fetched = self._fetch(name)
        job = self.recorder.begin(name, force=name in self.forced, run=runs)
        outcome: Outcome = self._run(job, on_line) if isinstance(job, Job) else job
        if outcome == "restored":
            self.tell(name, f"restored from {self._source(fetched)}")
        elif outcome == "recommitted":
            self.tell(name, "put back into DVC's cache from data/; not run")
        elif outcome == "fresh" and name != CODE:
            self.tell(name, "fresh after all: what it reads came out the same")
        elif outcome == "left":
            self.tell(name, "left: it needs a GPU")
        elif outcome == "ran":
            self.tell(name, f"done in {duration(time.monotonic() - started)}")
        if outcome != "left":
            self._send(name)
        return outcome

    def _source(self, fetched: bool) -> str:
        return (
            f"DVC's remote {self._exchange.name}" if self._exchange and fetched else "the run cache"
        )

    def _require_hash(self, name: str) -> None:
        """Check, before a device is taken, that a stage is the one that was asked for."""
        wanted = self.recorder.wanted(name)
        if wanted and wanted.stage_hash != self.options.alone:
            raise StageFailed(
                f"{name}: its hash is {wanted.stage_hash[:12]} with the inputs, parameters and "
                f"code that came here, and {self.options.alone[:12]} where it was sent: nothing "
                "was run; compare both machines' Python and libraries"
            )

    def _run_in_pool(self, pool: Pool, job: Job) -> Outcome:
        """Have a stage run elsewhere, and take its result from the remote."""
        name = job.name
        try:
            pool.run(
                name, job.stage_hash, lambda: self._send_inputs(name), partial(self.tell, name)
            )
        finally:
            self.recorder.end(job, succeeded=False)
        self._fetch(name)
        outcome = self.recorder.begin(name)
        if isinstance(outcome, Job):
            self.recorder.end(outcome, succeeded=False)
            raise StageFailed(
                f"{name}: it ran in the work pool gpu, and DVC's remote does not have its result: "
                "does the worker there use the same remote?"
            )
        return "ran"

    def _send_inputs(self, name: str) -> tuple[str, str]:
        """Put all that another machine needs for a stage where it can fetch it."""
        if self._exchange is None:
            raise AssertionError("without a remote there is no pool")
        if name in self.forced:
            raise StageFailed(
                f"{name}: its record belongs to another result, so it has to be forced, which "
                f"workers do not do: `downstream run --force {name}` where there is a device"
            )
        inputs = self.recorder.inputs(name)
        try:
            self._exchange.send_at_once(inputs.contents)
            self.recorder.flush()  # the commit is to hold what the stage reads, as recorded
            return send_work_tree(name, inputs.others)
        except Unreachable as failure:
            raise TransientError(f"{name}: {failure}") from failure

    def _run(self, job: Job, on_line: Callable[[str], None]) -> Outcome:
        if self.pool and job.name in self.gpu:
            return self._run_in_pool(self.pool, job)
        self.tell(job.name, "started")

        def heard(line: str) -> None:
            self.tell(job.name, line)
            on_line(line)

        succeeded = False
        try:
            if self.jobs and job.name != CODE:
                self.jobs.run(job.name, job.command, job.environment, heard, job.stage_hash)
            else:
                niced = job.name in self._niced
                self.processes.run(job.name, job.command, job.environment, heard, niced)
            succeeded = True
        finally:
            self.recorder.end(job, succeeded)
        return "ran"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End every running stage, and let no other start."""
        self.processes.stop(number)
        if self.jobs:
            self.jobs.stop(number)
        if self.pool:
            self.pool.stop()

    def tell(self, name: str, line: str) -> None:
        """Print one line of a stage, its name in front."""
        say(f"{name:<{self._width}} | {line}".rstrip())


def most_jobs(engine: Engine) -> int:
    """Return how many CPU stages run at once where nobody says it."""
    return JOBS_AT_ONCE if engine == "slurm" else os.cpu_count() or 1


def _require_shared(options: Options) -> None:
    """Check that stages can run on other machines.

    Raises:
        BadSettings: there is no git remote, or all is to be forced.
    """
    if options.force:
        raise BadSettings("--force: not with --engine pools, which takes what was computed before")
    require_origin()


def _misrecorded(plan: Plan) -> set[str]:
    """Return the stages that DVC takes for fresh, or would restore, though another result."""
    return {
        stage.name for stage in plan.stages if any(reason.misrecorded for reason in stage.reasons)
    }


def forced_stages(options: Options, selected: Sequence[str]) -> set[str]:
    """Return which stages run even if they are fresh.

    With targets it is these alone: forcing what lies upstream too would pay for its GPU hours
    again, and can be had by naming it.
    """
    if not options.force:
        return set()
    targets = set(options.targets)
    return {
        name
        for name in selected
        if not targets or name in targets or name.partition("@")[0] in targets
    }
