"""The steps of DVC's own ``reproduce`` for one stage, apart from the command itself.

They are called one by one, so that a flow can run the command without holding DVC's repository
lock, and look once more at what the stage depends on before anything is recorded. All of them need
that lock.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flows.dvc.graph import stage_name
from tasks.contracts import paths
from tasks.errors import BadInput, MissingPin, StageFailed
from tasks.stage_process import kept_results as finished
from tasks.stage_process.stage_hash import stage_hash


def require_inputs(stage: Any) -> None:
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


def restore_outputs(stage: Any) -> bool:
    """Put a stage's outputs back from DVC's run cache; tell whether it had them."""
    from dvc.stage.cache import RunCacheNotFoundError

    try:
        stage.repo.stage_cache.restore(stage)
    except RunCacheNotFoundError:
        return False
    return True


def costs_nothing(stage: Any) -> bool:
    """Tell whether a stage's result is there already: in a cache, or finished before a kill.

    The stage is left as it was.
    """
    unchanged = not stage.changed_stage() and stage.deps_cached()
    if unchanged and all(out.hash_info for out in stage.outs) and stage.outs_cached():
        return True
    before = [(item, item.hash_info, item.meta) for item in stage.deps]
    try:
        stage.save_deps()
        return finished.has(stage_name(stage), stage_hash(stage)) or _in_run_cache(stage)
    finally:
        for item, hash_info, meta in before:
            item.hash_info, item.meta = hash_info, meta


def _in_run_cache(stage: Any) -> bool:
    from dvc.stage.cache import _can_hash

    cache = stage.repo.stage_cache
    entry = cache._load(stage) if _can_hash(stage) else None
    return bool(entry) and cache._create_stage(entry, wdir=stage.wdir).outs_cached()


def hold_files(stage: Any) -> ExitStack:
    """Keep other DVC processes off a stage's files while the repository lock is released."""
    from dvc.rwlock import rwlock

    repo = stage.repo
    reads, writes = ([item.fs_path for item in items] for items in (stage.deps, stage.outs))
    locks = ExitStack()
    # The holder is told apart by process and this text, so each stage needs its own.
    holder = f"downstream run {stage_name(stage)}"
    hardlink = repo.config["core"].get("hardlink_lock", False)
    locks.enter_context(rwlock(repo.tmp_dir, repo.fs, holder, reads, writes, hardlink))
    return locks


def hash_now(stage: Any) -> str | None:
    """Return the identity of a stage's result from what it depends on at this moment."""
    from dvc.exceptions import DvcException

    try:
        stage.save_deps()
    except DvcException:
        # A dependency is gone, which is a change like any other.
        return None
    return stage_hash(stage)


def save_result(stage: Any) -> None:
    """Record outputs and run cache as DVC's ``reproduce`` does after a command.

    The hashes of its dependencies are in the stage already.

    Raises:
        StageFailed: an output is missing.
    """
    from dvc.output import OutputDoesNotExistError

    uncached = any(not out.use_cache and not (out.metric or out.plot) for out in stage.outs)
    with stage.repo.scm_context(quiet=True):
        try:
            stage.save_outs()
        except OutputDoesNotExistError as error:
            raise StageFailed(
                f"{stage_name(stage)} ended well, but {error}: it must write every output that "
                "dvc.yaml names"
            ) from error
        stage.md5 = stage.compute_md5()
        if not uncached:
            stage.repo.stage_cache.save(stage)
        stage.commit()
