"""What DVC's run cache can restore: results that this or another machine has computed before."""

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import yaml

from flows.dvc.contents import Content, is_cached
from flows.dvc.graph import Record, Stage
from flows.dvc.internals import run_cache_folder
from tasks.contracts.yaml12 import parse_yaml
from tasks.stage_process.stage_hash import entry_hash

if TYPE_CHECKING:
    from dvc.repo import Repo


def recorded_outputs(
    repo: "Repo", stage: Stage, record: Record, on_disk: Mapping[str, str | None]
) -> dict[str, Content]:
    """Return the outputs that ``dvc.lock`` names, if each lies on disk or in DVC's cache.

    Args:
        repo: the DVC repository.
        stage: a stage.
        record: what ``dvc.lock`` has of it.
        on_disk: the hash of what lies at each output's path now.
    """
    if any(not out.cached or out.path not in record.outputs for out in stage.outputs):
        return {}
    md5s = {out.path: record.outputs[out.path] for out in stage.outputs}
    lost = (md5 for path, md5 in md5s.items() if on_disk[path] != md5 and not is_cached(repo, md5))
    return {} if any(lost) else {path: Content(md5) for path, md5 in md5s.items()}


def restorable_outputs(
    repo: "Repo",
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
    if stage.always_changed or any(out.persistent for out in stage.outputs):
        return {}
    if not stage.outputs or not inputs or not all(content.md5 for content in inputs.values()):
        return {}
    return outputs_of(repo, planned_hash(stage, inputs, params))


def outputs_of(repo: "Repo", stage_hash: str) -> dict[str, Content]:
    """Return the outputs of the newest result with a stage hash, if DVC's cache has all of them."""
    folder = run_cache_folder(repo, stage_hash)
    if not folder.is_dir():
        return {}
    newest = max(folder.iterdir(), key=os.path.getmtime, default=None)
    if newest:
        # A torn one restores nothing: DVC removes it when it would be restored.
        with suppress(OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
            entry = parse_yaml(newest.read_text(encoding="utf-8"))
            return _if_cached(repo, {out["path"]: out["md5"] for out in entry["outs"]})
    return {}


def planned_hash(
    stage: Stage, inputs: dict[str, Content], params: dict[str, dict[str, Any]]
) -> str:
    """Return the stage hash (DVC's run-cache key) for inputs that need not lie on disk yet.

    Args:
        stage: a stage.
        inputs: what its dependencies will hold, by path.
        params: the present values of its parameters, by file.
    """
    entry: dict[str, Any] = {"cmd": stage.command}
    entry["deps"] = [_dependency(path, content) for path, content in sorted(inputs.items())]
    if params:
        entry["params"] = params
    entry["outs"] = [{"path": path} for path in sorted(out.path for out in stage.outputs)]
    return entry_hash(entry)


def _dependency(path: str, content: Content) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": path, "hash": "md5", "md5": content.md5}
    return {**entry, "isexec": True} if content.executable else entry


def _if_cached(repo: "Repo", md5s: dict[str, str]) -> dict[str, Content]:
    cached = all(is_cached(repo, md5) for md5 in md5s.values())
    return {path: Content(md5) for path, md5 in md5s.items()} if cached else {}
