"""What DVC's run cache can restore: results that this or another machine has computed before."""

import os
from pathlib import Path
from typing import Any

from flows.forecast import Forecast, nothing
from tasks.workspace.stage_hash import stage_hash


def restorable_outputs(
    stage: Any, forecast: Forecast, params: dict[str, dict[str, Any]], unchanged: bool
) -> list[Any]:
    """Return the outputs that DVC would restore instead of running the stage.

    The hashes of the stage's dependencies are set to the predicted ones.

    Args:
        stage: a DVC stage; all its dependencies' contents are known.
        forecast: where they are known.
        params: the present values of its parameters, by file.
        unchanged: nothing but the outputs differs from ``dvc.lock``.

    Returns:
        DVC outputs whose files are all in the cache; none if the stage has to run.
    """
    if unchanged and all(out.hash_info for out in stage.outs):
        return stage.outs if stage.outs_cached() else []
    _set_predicted(stage, forecast, params)
    if any(out.persist for out in stage.outs) or not all(dep.hash_info for dep in stage.deps):
        return []
    entry = _newest_entry(stage.repo.stage_cache, stage_hash(stage))
    if entry is None:
        return []
    restored = stage.repo.stage_cache._create_stage(entry, wdir=stage.wdir)
    return restored.outs if restored.outs_cached() else []


def _set_predicted(stage: Any, forecast: Forecast, params: dict[str, dict[str, Any]]) -> None:
    from dvc.dependency import ParamsDependency
    from dvc_data.hashfile.hash_info import HashInfo

    for dependency in stage.deps:
        if isinstance(dependency, ParamsDependency):
            dependency.hash_info = HashInfo("params", params[dependency.def_path])
            continue
        dependency.hash_info, dependency.meta = forecast.content(dependency) or nothing()


def _newest_entry(stage_cache: Any, key: str) -> dict[str, Any] | None:
    folder = Path(stage_cache._get_cache_dir(key))
    if not folder.is_dir():
        return None
    entries = sorted(folder.iterdir(), key=os.path.getmtime)
    return stage_cache._load_cache(key, entries[-1].name) if entries else None
