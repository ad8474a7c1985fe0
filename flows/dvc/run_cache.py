"""What DVC's run cache can restore: results that this or another machine has computed before."""

import os
from pathlib import Path
from typing import Any

from flows.dvc.contents import Content, is_cached
from flows.dvc.declared import Record, Stage
from tasks.stage_process.stage_hash import entry_hash


def recorded_outputs(repo: Any, stage: Stage, record: Record) -> dict[str, Content]:
    """Return the outputs that ``dvc.lock`` names, if DVC's cache has all of them."""
    if any(not out.cached or not record.outputs.get(out.path) for out in stage.outputs):
        return {}
    found = {out.path: Content(record.outputs[out.path]) for out in stage.outputs}
    return found if _all_cached(repo, found) else {}


def restorable_outputs(
    repo: Any,
    stage: Stage,
    inputs: dict[str, Content],
    params: dict[str, dict[str, Any]],
) -> dict[str, Content]:
    """Return the outputs that DVC would restore instead of running the stage.

    Args:
        repo: the DVC repository.
        stage: a stage.
        inputs: what its dependencies will hold, by path; all of it is known.
        params: the present values of its parameters, by file.

    Returns:
        What each output will hold; nothing if the stage has to run.
    """
    if any(out.persistent for out in stage.outputs):
        return {}
    if not stage.outputs or not inputs or not all(content.md5 for content in inputs.values()):
        return {}
    entry = _newest_entry(repo.stage_cache, planned_hash(stage, inputs, params))
    if entry is None:
        return {}
    found = {out["path"]: Content(out["md5"]) for out in entry["outs"]}
    return found if _all_cached(repo, found) else {}


def planned_hash(
    stage: Stage, inputs: dict[str, Content], params: dict[str, dict[str, Any]]
) -> str:
    """Return the stage hash (DVC's run-cache key) for inputs that need not lie on disk yet."""
    entry: dict[str, Any] = {"cmd": stage.cmd}
    entry["deps"] = [_dependency(path, content) for path, content in sorted(inputs.items())]
    if params:
        entry["params"] = params
    entry["outs"] = [{"path": path} for path in sorted(out.path for out in stage.outputs)]
    return entry_hash(entry)


def _dependency(path: str, content: Content) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": path, "hash": "md5", "md5": content.md5}
    return {**entry, "isexec": True} if content.executable else entry


def _all_cached(repo: Any, outputs: dict[str, Content]) -> bool:
    return all(is_cached(repo, content.md5) for content in outputs.values() if content.md5)


def _newest_entry(stage_cache: Any, key: str) -> dict[str, Any] | None:
    folder = Path(stage_cache._get_cache_dir(key))
    if not folder.is_dir():
        return None
    entries = sorted(folder.iterdir(), key=os.path.getmtime)
    return stage_cache._load_cache(key, entries[-1].name) if entries else None
