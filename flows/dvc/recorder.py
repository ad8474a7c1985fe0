"""Outputs, run cache and ``dvc.lock``: recorded as ``dvc repro`` does it, through DVC's API.

DVC's objects are not safe between threads, so all of it happens under one mutex, and under DVC's
own locks, which other DVC processes in this workspace obey: the repository lock while something is
recorded, a read-write lock on a stage's files while it runs.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from flows.dvc.dvc_stage import (
    costs_nothing,
    hash_now,
    hold_files,
    require_inputs,
    restore_outputs,
    save_result,
)
from flows.dvc.graph import Graph, load_graph, stage_name
from flows.dvc.lockfile import LockFile, fault_of_lock, mend_rwlock, rebuild
from flows.dvc.params_once import ParamsOnce
from tasks.contracts import paths
from tasks.contracts.files import Stamp, stamp
from tasks.contracts.lock import LOCK
from tasks.errors import BadSettings, ChangedWhileRunning, StageFailed
from tasks.progress import say
from tasks.stage_process import kept_results as finished
from tasks.stage_process.stage_hash import recorded_hash, stage_hash

POLL_SECONDS = 0.5
READ_BY_DVC = (Path("dvc.yaml"), paths.PARAMS, LOCK)


@dataclass(frozen=True)
class Job:
    """A stage that has to run, its files locked until ``Recorder.end``."""

    name: str
    command: str | list[str]
    environment: dict[str, str]
    stage_hash: str
    locks: ExitStack


class Recorder:
    """The workspace's DVC repository, for all threads of one run."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._params = ParamsOnce()
        self._lock_file = LockFile()
        self._seen = _stamps()
        self.recorded: dict[str, str] = {}
        """The stage hash of each result that this run has recorded."""
        self.graph: Graph = _load_whole(held=False)
        self._params.serve(self.graph.stages.values())
        self._lock = self.graph.repo.lock
        with self._lock:
            mend_rwlock(Path(self.graph.repo.tmp_dir))

    def begin(
        self, name: str, force: bool = False, run: bool = True
    ) -> Job | Literal["restored", "fresh", "left"]:
        """Decide what becomes of a stage now that everything upstream of it is done.

        Waits while another process holds the stage's files.

        Args:
            name: the stage.
            force: run it even if it is fresh or its result is in the run cache.
            run: whether it may run; otherwise it is left as it is, unless its result is there.

        Returns:
            What is to run; or that the stage is fresh, has been restored and recorded, or is left.
        """
        from dvc.lock import LockError

        told = False
        while True:
            try:
                with self._locked(name) as stage:
                    return self._begin(stage, force, run)
            except LockError as held:
                if not told:
                    say(f"{name} waits: {' '.join(str(held).splitlines()[:2])}")
                    told = True
                time.sleep(POLL_SECONDS)

    def _begin(
        self, stage: Any, force: bool, run: bool
    ) -> Job | Literal["restored", "fresh", "left"]:
        require_inputs(stage)
        if not force and not stage.changed():
            return "fresh"
        if stage.cmd is None:
            # A file that was `dvc add`ed and then edited: DVC takes it as it is now.
            self._save(stage)
            return "fresh"
        if not run and (force or not costs_nothing(stage)):
            return "left"
        stage.remove_outs(ignore_remove=False)
        if not force and restore_outputs(stage):
            stage.save_deps()
            self._save(stage)
            return "restored"
        stage.save_deps()
        name, environment = stage_name(stage), {"DVC_ROOT": stage.repo.root_dir}
        environment["DVC_STAGE"] = name
        return Job(name, stage.cmd, environment, stage_hash(stage), hold_files(stage))

    def sweep(self) -> None:
        """Remove kept results and checkpoints that ``dvc.lock`` has meanwhile (``dvc repro``)."""
        for name in finished.names():
            stage = self.graph.stages.get(name)
            with suppress(Timeout), FileLock(finished.work_lock(name), timeout=0):
                finished.sweep(name, recorded_hash(stage) if stage else None)

    def end(self, job: Job, succeeded: bool) -> None:
        """Record what a stage has made, if nothing it read has changed since ``begin``.

        Args:
            job: from ``begin``.
            succeeded: whether its command ended well; otherwise only its locks are released.

        Raises:
            ChangedWhileRunning: something it read was edited; nothing is recorded.
            StageFailed: an output is missing.
        """
        with self._locked(job.name) as stage:
            job.locks.close()
            if not succeeded:
                self.forget()
            elif hash_now(stage) == job.stage_hash:
                self._save(stage)
            else:
                stage.remove_outs()
                raise ChangedWhileRunning(
                    f"{job.name}: its parameters, inputs or code changed while running; nothing of "
                    "it was recorded: run again"
                )

    @contextmanager
    def _locked(self, name: str) -> Iterator[Any]:
        """Hold DVC's repository lock; yield the stage as dvc.yaml and dvc.lock have it now."""
        from dvc.exceptions import DvcException
        from dvc.lock import LockError

        with self._mutex, self._lock:
            try:
                yield self._current(name)
            except LockError:
                raise
            except DvcException as error:
                self.forget()
                raise StageFailed(f"{name}: DVC: {' '.join(str(error).split())}") from error
            except BaseException:
                self.forget()
                raise

    def _current(self, name: str) -> Any:
        stamps = _stamps()
        if stamps != self._seen:
            self.graph = _load_whole(held=True)
            self.graph.repo.lock = self._lock
            self._params.serve(self.graph.stages.values())
            self._seen = stamps
        if name not in self.graph.stages:
            raise ChangedWhileRunning(
                f"{name}: dvc.yaml or params.yaml lost this stage while running: run again"
            )
        return self.graph.stages[name]

    def forget(self) -> None:
        """Read everything anew next time: a stage object holds hashes that were not recorded."""
        self._seen = {}

    def _save(self, stage: Any) -> None:
        save_result(stage)
        if stage.cmd:
            self._lock_file.record(stage)
            self.recorded[stage_name(stage)] = stage_hash(stage)
            finished.discard(stage_name(stage), stage_hash(stage))
        else:
            stage.dump()
        if self._seen:
            self._seen[LOCK] = stamp(LOCK)


def _load_whole(held: bool) -> Graph:
    """Read the pipeline; a torn ``dvc.lock`` is rebuilt first.

    Args:
        held: DVC's repository lock is held already. DVC writes its lock file in place, so that it
            looks torn while it is being written.
    """
    from dvc.repo import Repo

    try:
        return load_graph()
    except BadSettings:
        if fault_of_lock() is None:
            raise
        with nullcontext() if held else Repo(_wait_for_lock=True).lock:
            rebuild()
        return load_graph()


def _stamps() -> dict[Path, Stamp]:
    return {path: stamp(path) for path in READ_BY_DVC}
