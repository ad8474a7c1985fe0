"""Outputs, run cache and ``dvc.lock``: recorded as ``dvc repro`` does it, through DVC's API.

DVC's objects are not safe between threads, so all of it happens under one mutex, and under DVC's
own locks, which other DVC processes in this workspace obey: the repository lock while something is
recorded, a read-write lock on a stage's files while it runs.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flows.dvc_stage import hash_now, hold_files, require_inputs, restore_outputs, save_result
from flows.graph import Graph, load_graph, stage_name
from tasks.contracts import paths
from tasks.errors import ChangedWhileRunning, StageFailed
from tasks.progress import say
from tasks.workspace.stage_hash import stage_hash

POLL_SECONDS = 0.5
LOCK = Path("dvc.lock")
READ_BY_DVC = (Path("dvc.yaml"), paths.PARAMS, LOCK)
Stamp = tuple[int, int, int]


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
        self._seen = _stamps()
        self.graph: Graph = load_graph()
        self._lock = self.graph.repo.lock

    def begin(self, name: str, force: bool = False) -> Job | Literal["restored", "fresh"]:
        """Decide what becomes of a stage now that everything upstream of it is done.

        Waits while another process holds the stage's files.

        Args:
            name: the stage.
            force: run it even if it is fresh or its result is in the run cache.

        Returns:
            What is to run; or that the stage is fresh, or has been restored and recorded.
        """
        from dvc.lock import LockError

        told = False
        while True:
            try:
                with self._locked(name) as stage:
                    return self._begin(stage, force)
            except LockError as held:
                if not told:
                    say(f"{name} waits: {' '.join(str(held).splitlines()[:2])}")
                    told = True
                time.sleep(POLL_SECONDS)

    def _begin(self, stage: Any, force: bool) -> Job | Literal["restored", "fresh"]:
        require_inputs(stage)
        if not force and not stage.changed():
            return "fresh"
        if stage.cmd is None:
            # A file that was `dvc add`ed and then edited: DVC takes it as it is now.
            self._save(stage)
            return "fresh"
        stage.remove_outs(ignore_remove=False)
        if not force and restore_outputs(stage):
            stage.save_deps()
            self._save(stage)
            return "restored"
        stage.save_deps()
        name, environment = stage_name(stage), {"DVC_ROOT": stage.repo.root_dir}
        environment["DVC_STAGE"] = name
        return Job(name, stage.cmd, environment, stage_hash(stage), hold_files(stage))

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
            self.graph = load_graph()
            self.graph.repo.lock = self._lock
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
        if self._seen:
            self._seen[LOCK] = _stamp(LOCK)


def _stamps() -> dict[Path, Stamp]:
    return {path: _stamp(path) for path in READ_BY_DVC}


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)
