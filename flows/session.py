"""What the stages of one run share: the recorder, their processes, and where their lines go."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from flows.graph import CODE
from flows.plan import Plan, make_plan
from flows.plan_view import duration
from flows.process import Processes
from flows.record import Job, Recorder
from tasks.progress import say

Outcome = Literal["ran", "restored", "fresh"]


@dataclass(frozen=True)
class Options:
    """How to run; never what to compute."""

    targets: tuple[str, ...] = ()
    jobs: int = 1
    """How many CPU stages run at once."""
    force: bool = False
    keep_going: bool = False


class Session:
    """One run: from the plan to the last record."""

    def __init__(self, options: Options, codes: Mapping[str, str]) -> None:
        """Bring up to date what no plan lists, then plan.

        Args:
            options: how to run.
            codes: the code fingerprint of every ``stage@row``, as it is now.

        Raises:
            DownstreamError: a target names no stage, or the workspace cannot be read.
        """
        self.options = options
        self.recorder = Recorder()
        self.processes = Processes()
        self.outcomes: dict[str, Outcome] = {}
        selected = self.recorder.graph.select(options.targets)
        self._width = max(map(len, selected), default=0)
        self._niced: set[str] = set()
        self._prepare()
        self.plan: Plan = make_plan(self.recorder.graph, codes, selected)
        # The plan has put predicted hashes into the stages: those are no record.
        self.recorder.forget()
        self.stages = self.plan.stages if options.force else self.plan.unfresh
        if any(stage.gpu for stage in self.stages):
            self._niced = {stage.name for stage in self.stages if not stage.gpu}

    @property
    def upstream(self) -> dict[str, list[str]]:
        """Whom each stage depends on."""
        return self.recorder.graph.upstream

    def _prepare(self) -> None:
        """See to edited ``dvc add``ed files and to the code fingerprints."""
        for name, stage in list(self.recorder.graph.stages.items()):
            if stage.cmd is None and not stage.deps:
                self.recorder.begin(name)
        if CODE in self.recorder.graph.stages:
            self.perform(CODE, on_line=_nobody)

    def perform(self, name: str, on_line: Callable[[str], None]) -> Outcome:
        """Do what is left to do for a stage whose upstream is done: nothing, restore or run.

        Args:
            name: the stage.
            on_line: is given each line that the stage prints, beside the terminal.
        """
        started = time.monotonic()
        job = self.recorder.begin(name, force=self.options.force and name != CODE)
        outcome: Outcome = self._run(job, on_line) if isinstance(job, Job) else job
        if outcome == "restored":
            self.tell(name, "restored from the run cache")
        elif outcome == "fresh" and name != CODE:
            self.tell(name, "fresh after all: what it reads came out the same")
        elif outcome == "ran":
            self.tell(name, f"done in {duration(time.monotonic() - started)}")
        return outcome

    def _run(self, job: Job, on_line: Callable[[str], None]) -> Outcome:
        self.tell(job.name, "started")

        def heard(line: str) -> None:
            self.tell(job.name, line)
            on_line(line)

        succeeded = False
        try:
            niced = job.name in self._niced
            self.processes.run(job.name, job.command, job.environment, heard, niced)
            succeeded = True
        finally:
            self.recorder.end(job, succeeded)
        return "ran"

    def tell(self, name: str, line: str) -> None:
        """Print one line of a stage, its name in front."""
        say(f"{name:<{self._width}} | {line}".rstrip())


def _nobody(line: str) -> None:
    """Hear a line that only the terminal shows."""
