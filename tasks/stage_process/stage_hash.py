"""The identity of a stage's result: DVC's run-cache key of its inputs.

It covers the command, the tracked parameters and the content of every dependency (the code
fingerprint is one of them). Stage, plan, flow and tracking all use this one.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import BadSettings

WRITTEN_TRIES, WRITTEN_SECONDS = 10, 0.2


@dataclass(frozen=True)
class Inputs:
    """What a stage reads, at one moment."""

    stage_hash: str
    needs_device: bool
    params: dict[str, Any]
    """Tracked parameters by key path."""
    files: dict[str, str]
    """Content hash (md5, as in ``dvc.lock``) by path."""
    outputs: tuple[str, ...] = ()
    """Their paths."""
    run_cache: Path = Path()
    """Where DVC keeps a folder for each stage hash that was ever recorded."""
    recorded: str | None = None
    """The stage hash that ``dvc.lock`` and DVC's cache have a result for, if any."""

    def differences(self, later: "Inputs") -> list[str]:
        """Name the parameters and files that differ between two moments."""
        mine = {**self.params, **self.files}
        theirs = {**later.params, **later.files}
        return sorted(key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key))


def stage_hash(stage: Any) -> str:
    """Return DVC's run-cache key for the hashes that a DVC stage object holds now.

    DVC's own function asserts that every dependency lies on disk already; a forecast does not.
    """
    from dvc.stage.serialize import to_single_stage_lockfile

    return entry_hash(to_single_stage_lockfile(stage))


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Return DVC's run-cache key for an entry of ``dvc.lock``; of its outputs the paths count."""
    from dvc.stage.cache import _get_cache_hash

    # DVC puts the paths in the place of the outputs: an entry of ours stays as it is.
    key: str = _get_cache_hash({**entry}, key=True)
    return key


def recorded_hash(stage: Any) -> str | None:
    """Return the stage hash of the result that ``dvc.lock`` and DVC's cache have of a stage.

    Args:
        stage: a DVC stage as it was loaded, with the hashes of ``dvc.lock``.
    """
    if stage.cmd_changed or not all(item.hash_info for item in [*stage.deps, *stage.outs]):
        return None
    return stage_hash(stage) if stage.outs_cached() else None


def run_cache_of(repo: Any) -> Path:
    """Return DVC's folder of the results that were ever recorded, one of its own for each."""
    return Path(repo.stage_cache.cache_dir)


def results_of(run_cache: Path, stage_hash: str) -> Path:
    """Return where DVC's run cache keeps the results of a stage hash, one file each."""
    return run_cache / stage_hash[:2] / stage_hash


def read_inputs(name: str) -> Inputs:
    """Read what ``<stage>@<row>`` depends on as it lies in the workspace now.

    Args:
        name: the stage as DVC addresses it, for example ``clean@reuters``.

    Raises:
        BadSettings: DVC cannot resolve the stage, or a dependency is missing.
    """
    from dvc.exceptions import DvcException
    from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

    try:
        # DVC writes dvc.lock in place: one that is being written is read again.
        for _ in range(WRITTEN_TRIES):
            try:
                return _read_inputs(name)
            except (YAMLSyntaxError, YAMLValidationError):
                time.sleep(WRITTEN_SECONDS)
        return _read_inputs(name)
    except DvcException as error:
        raise BadSettings(f"{name}: {error}; `downstream plan` shows the whole pipeline") from error


def _read_inputs(name: str) -> Inputs:
    from dvc.repo import Repo
    from dvc.stage.serialize import to_single_stage_lockfile

    with Repo() as repo:
        stage = repo.stage.load_one(name=name)
        recorded = recorded_hash(stage)
        stage.save_deps()
        entry = to_single_stage_lockfile(stage)
        return Inputs(
            stage_hash=stage_hash(stage),
            needs_device=bool((stage.meta or {}).get("gpu")),
            params={
                key: value
                for values in entry.get("params", {}).values()
                for key, value in values.items()
            },
            files={dep["path"]: dep["md5"] for dep in entry.get("deps", [])},
            outputs=tuple(out.def_path for out in stage.outs),
            run_cache=run_cache_of(repo),
            recorded=recorded,
        )
