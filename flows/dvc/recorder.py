"""Outputs, run cache and ``dvc.lock``: recorded as ``dvc repro`` does it, through DVC's API.

The steps of DVC's own ``reproduce`` are called one by one, so that a flow can run the command
without holding DVC's repository lock, and look once more at what the stage depends on before
anything is recorded. DVC's objects are not safe between threads, so all of it happens under one
mutex, and under DVC's own locks, which other DVC processes in this workspace obey: the repository
lock while something is recorded, a read-write lock on a stage's files while it runs.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import Timeout

from flows.dvc.contents import content_by_reading, dead_links
from flows.dvc.graph import CODE, PIPELINE
from flows.dvc.internals import (
    dvc_stages,
    hold_files,
    open_repo,
    rwlock_file,
    sources,
    stage_name,
)
from flows.dvc.lockfile import BATCH_SECONDS, LockFile, fault_of_lock, rebuild
from flows.dvc.params import ParameterFiles
from flows.dvc.run_cache import outputs_of
from flows.dvc.rwlock import mend_rwlock
from flows.dvc.trees import require_inside, require_results_inside
from tasks.contracts import paths
from tasks.contracts.files import Stamp, stamp
from tasks.contracts.lock import LOCK
from tasks.errors import (
    BadInput,
    BadSettings,
    ChangedWhileRunning,
    MissingPin,
    StageFailed,
    in_words,
)
from tasks.machine.locks import file_lock
from tasks.progress import say
from tasks.stage_process import kept_results
from tasks.stage_process.stage_hash import recorded_hash, stage_hash

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.stage import Stage as DvcStage

POLL_SECONDS = 0.5
READ_BY_DVC = (PIPELINE, paths.PARAMS, LOCK)

Decision = Literal["restored", "recommitted", "fresh", "left"]


@dataclass(frozen=True)
class Wanted:
    """A result that a stage needs, by which it can be looked for elsewhere."""

    stage_hash: str
    outputs: tuple[str, ...]
    """Their paths."""
    recorded: dict[str, str]
    """Their hashes, where ``dvc.lock`` has them for this stage hash."""


@dataclass(frozen=True)
class Inputs:
    """What a stage reads; parameters, and what the stage ``code`` makes, are left out."""

    contents: dict[str, str]
    """Hashes by path of what stages make or was ``dvc add``ed, as recorded."""
    others: list[str]
    """Paths of what DVC does not track."""


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

    def __init__(self, in_batches: bool = False) -> None:
        """Read the workspace; a torn ``dvc.lock`` is rebuilt first.

        Args:
            in_batches: write the records of cheap stages into ``dvc.lock`` together, a second later
                at most, and the last of them in ``flush``. A kill in between loses none: DVC's run
                cache has them already, so they are restored.

        Raises:
            BadSettings: DVC cannot read it.
        """
        repo = open_repo()
        self._mutex = threading.Lock()
        # Kept when the workspace is read anew, which happens while it is held.
        self._lock = repo.lock
        self._lock_file = LockFile()
        self._in_batches = in_batches
        self._finished: list[tuple[str, str]] = []
        """Stages and hashes of kept results that ``dvc.lock`` does not have yet."""
        self._flusher: threading.Timer | None = None
        self._params = ParameterFiles(repo)
        self._seen: dict[Path, Stamp] = {}
        self._stages: dict[str, DvcStage] = {}
        self.recorded: dict[str, str] = {}
        """The stage hash of each result that this run has recorded."""
        self._read(held=False)
        self._rwlock = rwlock_file(repo)
        with self._lock:
            mend_rwlock(self._rwlock)

    def added_files(self) -> list[str]:
        """Return the names of the ``.dvc`` files of what was ``dvc add``ed."""
        return [name for name, stage in self._stages.items() if not stage.cmd and not stage.deps]

    def wanted(self, name: str) -> Wanted | None:
        """Return what a stage whose upstream is done needs; None where nothing can restore it.

        Raises:
            DownstreamError: as ``begin``.
        """
        with self._locked(name) as stage:
            _require_inputs(stage)
            _drop_dead_links(stage)
            persistent = any(out.persist for out in stage.outs)
            if not stage.cmd or stage.frozen or stage.always_changed or persistent:
                return None
            if not stage.changed():
                return None
            unchanged = not stage.changed_stage() and not stage.changed_deps()
            return Wanted(
                _present_hash(stage),
                tuple(out.def_path for out in stage.outs),
                _recorded_contents(stage) if unchanged else {},
            )

    def added_contents(self, name: str, missing: bool = False) -> dict[str, str]:
        """Return the hashes of what was ``dvc add``ed, by path.

        Args:
            name: its ``.dvc`` file.
            missing: only of what does not lie there.
        """
        with self._locked(name) as stage:
            there = {out.def_path for out in stage.outs if missing and out.exists}
            contents = _recorded_contents(stage)
            return {path: md5 for path, md5 in contents.items() if path not in there}

    def lay_out(self, name: str) -> None:
        """Take what was ``dvc add``ed and does not lie there from DVC's cache, if that has it."""
        with self._locked(name) as stage:
            missing = [out for out in stage.outs if not out.exists and not out.changed_cache()]
            require_inside(stage.repo, [out.hash_info.value for out in missing])
            for out in missing:
                out.checkout()

    def inputs(self, name: str) -> Inputs:
        """Return what a stage reads, by where another machine would have it from."""
        contents: dict[str, str] = {}
        others: list[str] = []
        with self._locked(name) as stage:
            for path, outs in _sources(stage):
                contents |= {out.def_path: out.hash_info.value for out in outs if out.use_cache}
                others += [] if outs else [path]
        return Inputs(contents, others)

    def lay_out_inputs(self, name: str) -> None:
        """Put what a stage reads at its place, from DVC's cache, as ``dvc.lock`` has it.

        Raises:
            StageFailed: DVC's cache does not have it.
        """
        with self._locked(name) as stage:
            outs = [out for _, makers in _sources(stage) for out in makers if out.use_cache]
            require_inside(stage.repo, [out.hash_info.value for out in outs])
            for out in outs:
                out.checkout(force=True)

    def begin(self, name: str, force: bool = False, run: bool = True) -> Job | Decision:
        """Decide what becomes of a stage now that everything upstream of it is done.

        Waits while another process holds the stage's files.

        Args:
            name: the stage.
            force: run it even if it is fresh or its result is in the run cache.
            run: whether it may run; otherwise it is left as it is, unless its result is there.

        Returns:
            What is to run; or that the stage is fresh, has been restored and recorded, has been
            put back into DVC's cache, or is left.

        Raises:
            MissingPin: a source is missing.
            BadInput: another file that it depends on is missing, and no stage writes it.
            ChangedWhileRunning: ``dvc.yaml`` has this stage no more.
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
                with self._mutex, self._lock:
                    mend_rwlock(self._rwlock)  # the holder may have died meanwhile

    def _begin(self, stage: "DvcStage", force: bool, run: bool) -> Job | Decision:
        _require_inputs(stage)
        _drop_dead_links(stage)
        if not force and not stage.changed():
            return "fresh"
        if stage.cmd is None or stage.frozen:
            # What was `dvc add`ed, or frozen, and then edited: DVC takes it as it is now.
            _require_outputs(stage)
            stage.save_deps()
            self._save(stage)
            return "recommitted" if stage.cmd else "fresh"
        if not force and (kept := _kept_outputs(stage)):
            return _put_back(stage, kept)
        if not run and (force or not _costs_nothing(stage)):
            return "left"
        stage.remove_outs(ignore_remove=False)
        if not force and _restore_outputs(stage):
            stage.save_deps()
            self._save(stage)
            return "restored"
        _require_writable_cache(stage)
        stage.save_deps()
        environment = {"DVC_ROOT": stage.repo.root_dir, "DVC_STAGE": stage.name}
        locks = ExitStack()
        locks.enter_context(hold_files(stage))
        return Job(stage.name, stage.cmd, environment, stage_hash(stage), locks)

    def sweep(self) -> None:
        """Remove kept results and checkpoints that ``dvc.lock`` has meanwhile (``dvc repro``)."""
        for name in kept_results.names():
            stage = self._stages.get(name)
            with suppress(Timeout), file_lock(kept_results.work_lock(name), timeout=0):
                kept_results.sweep(name, recorded_hash(stage) if stage else None)

    def flush(self) -> None:
        """Write into ``dvc.lock`` what was held back."""
        with self._mutex:
            self._flusher = None
            if self._finished:
                with self._lock:
                    self._flush()

    def _flush(self) -> None:
        self._lock_file.flush()
        for name, key in self._finished:
            kept_results.discard(name, key)
        self._finished.clear()
        if self._seen:
            self._seen[LOCK] = stamp(LOCK)

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
            elif _hash_now(stage) == job.stage_hash:
                self._save(stage)
            else:
                stage.remove_outs()
                raise ChangedWhileRunning(
                    f"{job.name}: its parameters, inputs or code changed while running; nothing of "
                    "it was recorded: run again"
                )

    @contextmanager
    def _locked(self, name: str) -> Iterator["DvcStage"]:
        """Hold DVC's repository lock; yield the stage as dvc.yaml and dvc.lock have it now."""
        from dvc.exceptions import DvcException
        from dvc.lock import LockError

        with self._mutex, self._lock:
            try:
                if _stamps() != self._seen:
                    self._flush()
                    self._read(held=True)
                if name not in self._stages:
                    raise ChangedWhileRunning(
                        f"{name}: dvc.yaml or params.yaml lost this stage while running: run again"
                    )
                yield self._stages[name]
            except LockError:
                raise
            except DvcException as error:
                self.forget()
                raise StageFailed(f"{name}: DVC: {' '.join(str(error).split())}") from error
            except OSError as error:
                self.forget()
                raise StageFailed(
                    f"{name}: DVC cannot read or record it: {in_words(error)}: mend that and "
                    "run again; what the stage has finished is taken over"
                ) from error
            except BaseException:
                self.forget()
                raise

    def _read(self, held: bool) -> None:
        """Read all stages; a torn ``dvc.lock`` is rebuilt first.

        Args:
            held: DVC's repository lock is held already. DVC writes its lock file in place, so that
                it looks torn while it is being written.
        """
        try:
            self._load()
        except BadSettings:
            if fault_of_lock() is None:
                raise
            with nullcontext() if held else self._lock:
                rebuild()
            self._load()

    def _load(self) -> None:
        self._seen = _stamps()
        repo = open_repo()
        repo.lock = self._lock
        self._stages = dvc_stages(repo)
        self._params.serve(self._stages.values())

    def forget(self) -> None:
        """Read everything anew next time: a stage object holds hashes that were not recorded."""
        self._seen = {}

    def _save(self, stage: "DvcStage") -> None:
        _save_result(stage)
        if not stage.cmd:
            stage.dump()
            return
        key = stage_hash(stage)
        self.recorded[stage.name] = key
        self._finished.append((stage.name, key))
        # A GPU stage's result is worth a whole write; one that no cache can restore is too.
        restorable = all(out.use_cache and not out.persist for out in stage.outs)
        cheap = restorable and not stage.always_changed and not (stage.meta or {}).get("gpu")
        if self._lock_file.record(stage, may_wait=self._in_batches and cheap):
            self._flush()
        elif self._flusher is None:
            self._flusher = threading.Timer(BATCH_SECONDS, self.flush)
            self._flusher.daemon = True
            self._flusher.start()


def _sources(stage: "DvcStage") -> Iterator[tuple[str, list["Output"]]]:
    """Yield each file that a stage depends on, and whom it is an output of; not code's.

    Raises:
        StageFailed: ``dvc.lock`` does not have one that a stage makes.
    """
    for path, outs in sources(stage).items():
        for out in outs:
            if out.use_cache and not out.hash_info:
                raise StageFailed(f"{stage_name(stage)}: dvc.lock does not have {out.def_path} yet")
        if not any(stage_name(out.stage) == CODE for out in outs):
            yield path, outs


def _stamps() -> dict[Path, Stamp]:
    return {path: stamp(path) for path in READ_BY_DVC}


def _require_inputs(stage: "DvcStage") -> None:
    """Make sure that every file a stage depends on is there.

    Raises:
        MissingPin: a source is missing.
        BadInput: another file is.
    """
    for dependency in stage.deps:
        path = Path(dependency.def_path)
        if dependency.exists:
            continue
        if path.is_relative_to(paths.DATA / "sources"):
            raise MissingPin(
                f"{stage_name(stage)}: {path} does not exist: put the files there, or "
                f"pin remote sources with `downstream refresh {path.name}`"
            )
        raise BadInput(f"{stage_name(stage)}: {path} does not exist, and no stage writes it")


def _drop_dead_links(stage: "DvcStage") -> None:
    """Remove what linked into DVC's cache and is not there any more, over which DVC stumbles."""
    for out in stage.outs:
        for link in dead_links(Path(out.fs_path)):
            link.unlink()


def _require_writable_cache(stage: "DvcStage") -> None:
    """Make sure that a result can be recorded before anything is paid for it.

    Raises:
        StageFailed: DVC's cache cannot be written to.
    """
    cache = Path(stage.repo.cache.local.path)
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        raise StageFailed(
            f"{stage_name(stage)}: DVC's cache cannot be written to ({there}), so its result could "
            "not be recorded: make it writable, or name another by `dvc cache dir`"
        )


def _require_outputs(stage: "DvcStage") -> None:
    """Make sure that what no command makes, or may make, is there.

    Raises:
        BadInput: it is missing.
    """
    for out in stage.outs:
        if not out.exists:
            path = os.path.relpath(out.fs_path, stage.repo.root_dir)
            name = stage_name(stage)
            cached = out.hash_info and not out.changed_cache()
            get = f"`dvc {'checkout' if cached else 'pull'} {name}`"
            by, other = f"which {name} names", "put it there"
            if stage.cmd:
                by, other = "and dvc.yaml says that the stage is frozen", f"`dvc unfreeze {name}`"
            raise BadInput(f"{name}: {path} does not exist, {by}: {get}, or {other}")


def _kept_outputs(stage: "DvcStage") -> list["Output"]:
    """Return the outputs that lie there as ``dvc.lock`` has them, if DVC's cache has the others.

    Nothing, where the stage differs in more than what the cache holds.
    """
    if stage.changed_stage() or stage.changed_deps():
        return []
    kept = [out for out in stage.outs if not out.workspace_status()]
    others = [out for out in stage.outs if out not in kept]
    return [] if any(out.changed_cache() for out in others) else kept


def _put_back(stage: "DvcStage", kept: list["Output"]) -> Decision:
    """Take outputs from their paths into DVC's cache, and the others from there; nothing runs.

    ``dvc.lock`` has all of it already.

    Raises:
        ChangedWhileRunning: an output is not what DVC takes it for.
    """
    missing = [out for out in stage.outs if out not in kept]
    require_inside(stage.repo, [out.hash_info.value for out in missing])
    for out in kept:
        if content_by_reading(stage.repo, out.def_path).md5 != out.hash_info.value:
            # An edit that left size and time as they were: the cache would have it under this hash.
            for path in (Path(out.def_path), *Path(out.def_path).rglob("*")):
                path.touch()
            raise ChangedWhileRunning(
                f"{stage.name}: {out.def_path} is not as recorded in dvc.lock, though its size and "
                "time are: `downstream plan` shows what that means now"
            )
    with stage.repo.scm_context(quiet=True):
        for out in missing:
            out.checkout(force=True)
        _commit(stage)
    kept_results.discard(stage.name, stage_hash(stage))
    return "restored" if missing else "recommitted"


def _restore_outputs(stage: "DvcStage") -> bool:
    """Put a stage's outputs back from DVC's run cache; tell whether it had them."""
    from dvc.stage.cache import RunCacheNotFoundError

    require_inside(stage.repo, [out.hash_info.value for out in stage.outs if out.hash_info])
    require_results_inside(stage.repo, _present_hash(stage))
    try:
        stage.repo.stage_cache.restore(stage)
    except RunCacheNotFoundError:
        return False
    return True


def _costs_nothing(stage: "DvcStage") -> bool:
    """Tell whether a stage's result is there already: in a cache, or finished before a kill.

    The stage is left as it was.
    """
    if stage.always_changed or stage.is_callback:
        return False
    unchanged = not stage.changed_stage() and stage.deps_cached()
    if unchanged and all(out.hash_info for out in stage.outs) and stage.outs_cached():
        return True
    key = _present_hash(stage)
    restorable = not any(out.persist for out in stage.outs) and outputs_of(stage.repo, key)
    return bool(restorable) or kept_results.has(stage.name, key)


def _recorded_contents(stage: "DvcStage") -> dict[str, str]:
    """Return the hashes of a stage's outputs, by path; nothing unless all of them are recorded."""
    if not all(out.hash_info and out.use_cache for out in stage.outs):
        return {}
    return {out.def_path: out.hash_info.value for out in stage.outs}


def _present_hash(stage: "DvcStage") -> str:
    """Return the stage hash for what a stage's dependencies hold now; the stage is left as it was.

    A stage that had the hashes of now beside its recorded outputs would look unchanged to DVC.
    """
    before = [(item, item.hash_info, item.meta) for item in stage.deps]
    try:
        stage.save_deps()
        return stage_hash(stage)
    finally:
        for item, hash_info, meta in before:
            item.hash_info, item.meta = hash_info, meta


def _hash_now(stage: "DvcStage") -> str | None:
    """Return the identity of a stage's result from what it depends on at this moment."""
    from dvc.exceptions import DvcException

    try:
        stage.save_deps()
    except DvcException:
        # A dependency is gone, which is a change like any other.
        return None
    return stage_hash(stage)


def _save_result(stage: "DvcStage") -> None:
    """Record outputs and run cache as DVC's ``reproduce`` does after a command.

    The hashes of its dependencies are in the stage already.

    Raises:
        StageFailed: an output is missing.
    """
    from dvc.output import OutputDoesNotExistError

    with stage.repo.scm_context(quiet=True):
        try:
            stage.save_outs()
        except OutputDoesNotExistError as error:
            raise StageFailed(
                f"{stage_name(stage)} ended well, but {error}: it must write every output that "
                "dvc.yaml names"
            ) from error
        stage.md5 = stage.compute_md5()
        _commit(stage)


def _commit(stage: "DvcStage") -> None:
    """Put the outputs, whose hashes the stage holds, into DVC's cache and its run cache."""
    if all(out.use_cache or out.metric or out.plot for out in stage.outs):
        stage.repo.stage_cache.save(stage)
    stage.commit()
