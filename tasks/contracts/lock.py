"""``dvc.lock`` as it stands there: where it lies, and what it has recorded of every stage.

It is read here alone, without DVC, and written by ``flows.dvc.lockfile`` alone (and by DVC).
Beside it, the hashes that DVC gives to files, folders and texts.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import files
from tasks.contracts.params import STAGES
from tasks.contracts.parse_cache import parsed_once
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import BadSettings

LOCK = Path("dvc.lock")
PARSER = "YAML 1.2"
"""Part of the cache's key: another parser may read the same text otherwise."""


def read_lock() -> dict[str, dict[str, Any]]:
    """Return the entries of ``dvc.lock`` by stage; none where there is no such file.

    Raises:
        BadSettings: it is torn.
    """
    return _read_lock(LOCK.absolute(), files.stamp(LOCK))


# Read once for all models of a run: parsing it takes a second at some hundreds of stages.
@lru_cache(maxsize=1)
def _read_lock(path: Path, _: files.Stamp) -> dict[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        lock = parsed_once("lock", [PARSER, text], lambda: parse_yaml(text))
    except FileNotFoundError:
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _torn(" ".join(str(error).split())) from None
    stages = (lock.get("stages") if isinstance(lock, dict) else None) or {}
    cut_off = _first_cut_off(stages)
    if cut_off is not None:
        raise _torn(f"it is cut off at {cut_off}")
    return dict(stages)


def _first_cut_off(stages: Any) -> str | None:
    """Return where a file ends too early that is YAML all the same; None if it does not."""
    if not isinstance(stages, dict):
        return "stages"
    return next((str(name) for name, entry in stages.items() if not _is_whole(entry)), None)


def _is_whole(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    files_of = [entry.get("deps", []), entry.get("outs", [])]
    params = entry.get("params", {})
    return (
        all(isinstance(items, list) for items in files_of)
        and all(isinstance(item, dict) and item.get("path") for items in files_of for item in items)
        and isinstance(params, dict)
        and all(isinstance(values, dict) for values in params.values())
    )


def _torn(fault: str) -> BadSettings:
    return BadSettings(
        f"DVC cannot read this workspace: dvc.lock is torn ({fault}): `downstream run` rebuilds it"
    )


def hashes(entry: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return DVC's hash of each file or folder of an entry.

    Args:
        entry: a stage of ``dvc.lock``.
        kind: ``deps`` or ``outs``.
    """
    return {item["path"]: item["md5"] for item in entry.get(kind, []) if "md5" in item}


def upstream_of(lock: Mapping[str, Any], stage: str) -> list[str]:
    """Return a stage of ``dvc.lock`` and all that it was made from, the stage itself first."""
    makers = makers_of(lock)

    def order(name: str) -> tuple[int, int, str]:
        # Of one kind, adapted backbones are made from one another, and a student from its teacher.
        return -STAGES.index(name.partition("@")[0]), -len(_made_from(lock, makers, name)), name

    return sorted(_made_from(lock, makers, stage), key=order)


def _made_from(lock: Mapping[str, Any], makers: Mapping[str, str], stage: str) -> set[str]:
    upstream, waiting = set(), [stage]
    while waiting:
        name = waiting.pop()
        if name not in upstream:
            upstream.add(name)
            deps = hashes(lock.get(name, {}), "deps")
            waiting += [makers[path] for path in deps if path in makers]
    return upstream


def makers_of(lock: Mapping[str, Any]) -> dict[str, str]:
    """Return which stage of ``dvc.lock`` has made each file or folder."""
    return {path: name for name, entry in lock.items() for path in hashes(entry, "outs")}


def md5_of(path: Path) -> str | None:
    """Return the hash that DVC gives a file or folder as it lies there; None if it does not."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    if not path.is_dir():
        return None
    paths_inside = sorted(item for item in path.rglob("*") if item.is_file())
    names = {item.relative_to(path).as_posix(): md5_of(item) for item in paths_inside}
    listed = [{"md5": md5, "relpath": name} for name, md5 in sorted(names.items())]
    return f"{md5_of_text(json.dumps(listed, sort_keys=True))}.dir"


def md5_of_text(text: str) -> str:
    """Return the hash that DVC gives a file with this text: it tells changes, no more."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
