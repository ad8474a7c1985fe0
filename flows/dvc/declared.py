"""The stages as ``dvc.yaml`` declares them and ``dvc.lock`` records them, without DVC's objects.

DVC's own parser resolves ``dvc.yaml`` (``foreach``, interpolation), so that both see the same
stages. Its stage objects and its reader of ``dvc.lock`` cost seconds at 450 stages, and a plan
needs neither.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.dvc.graph import Graph, dvc_errors, in_order, quiet_dvc
from tasks.contracts import paths
from tasks.contracts.lock import read_lock
from tasks.contracts.parse_cache import parsed_once
from tasks.errors import BadSettings

PIPELINE = Path("dvc.yaml")
VARS = "vars:"
LISTS_OF_OUTPUTS = ("outs", "metrics", "plots")


@dataclass(frozen=True)
class Output:
    """A file or folder that a stage writes."""

    path: str
    cached: bool = True
    """Whether DVC's cache holds it (not with ``cache: false``)."""
    persistent: bool = False


@dataclass(frozen=True)
class Record:
    """A stage as ``dvc.lock`` has it: hashes by path, parameters by file and key."""

    command: Any
    dependencies: dict[str, str]
    params: dict[str, dict[str, Any]]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Stage:
    """A stage as ``dvc.yaml`` declares it."""

    name: str
    cmd: Any
    dependencies: list[str]
    params: dict[str, list[str]]
    """Tracked keys by file; no keys means the whole file."""
    outputs: list[Output]
    meta: dict[str, Any] = field(default_factory=dict)
    record: Record | None = None


def load_pipeline() -> Graph:
    """Read ``dvc.yaml``, ``params.yaml`` and ``dvc.lock`` of the current directory for a plan.

    Raises:
        BadSettings: one of them cannot be read.
    """
    from dvc.repo import Repo

    quiet_dvc()
    with dvc_errors():
        repo = Repo(_wait_for_lock=True)
        entries = _resolved(repo)
    lock = read_lock()
    stages = {name: _stage(name, entry, lock.get(name)) for name, entry in entries.items()}
    makers = Makers(stages.values())
    upstream = {
        name: sorted({maker for path in stage.dependencies for maker in makers.of(path)} - {name})
        for name, stage in stages.items()
    }
    return Graph(repo, {name: stages[name] for name in in_order(upstream)}, upstream, lock, makers)


def _resolved(repo: Any) -> dict[str, dict[str, Any]]:
    """Return every stage of ``dvc.yaml`` with its variables filled in, by name."""
    from dvc import __version__

    try:
        texts = [path.read_text(encoding="utf-8") for path in (PIPELINE, paths.PARAMS)]
    except (OSError, UnicodeDecodeError):
        return _resolve(repo)  # DVC says what is wrong
    if VARS in texts[0]:
        return _resolve(repo)  # it depends on further files
    found: dict[str, dict[str, Any]] = parsed_once(
        "pipeline", [__version__, *texts], lambda: _resolve(repo)
    )
    return found


def _resolve(repo: Any) -> dict[str, dict[str, Any]]:
    from dvc.dvcfile import load_file
    from dvc.exceptions import DvcException

    resolver = load_file(repo, str(PIPELINE)).resolver
    entries: dict[str, dict[str, Any]] = {}
    for name in resolver.get_keys():
        entries.update(resolver.resolve_one(name))
    if not entries:
        raise DvcException("dvc.yaml has no stages")
    return entries


def _stage(name: str, entry: dict[str, Any], record: dict[str, Any] | None) -> Stage:
    return Stage(
        name=name,
        cmd=entry.get("cmd"),
        dependencies=list(entry.get("deps") or ()),
        params=_tracked(entry.get("params") or ()),
        outputs=[out for key in LISTS_OF_OUTPUTS for out in _outputs(entry.get(key) or ())],
        meta=entry.get("meta") or {},
        record=_record(record) if record else None,
    )


def _tracked(items: Iterable[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in items:
        by_file = item if isinstance(item, dict) else {paths.PARAMS.as_posix(): [item]}
        for file, keys in by_file.items():
            found.setdefault(file, []).extend(keys or ())
    return found


def _outputs(items: Iterable[Any]) -> Iterable[Output]:
    for item in items:
        options_by_path = item if isinstance(item, dict) else {item: {}}
        for path, options in options_by_path.items():
            given = options or {}
            yield Output(path, bool(given.get("cache", True)), bool(given.get("persist", False)))


def _record(entry: dict[str, Any]) -> Record:
    hashes = {
        key: {item["path"]: item.get("md5", "") for item in entry.get(key) or ()}
        for key in ("deps", "outs")
    }
    return Record(entry.get("cmd"), hashes["deps"], entry.get("params") or {}, hashes["outs"])


class Makers:
    """Which stage makes a path, lies around it, or makes something inside it."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        """Note the outputs of all stages.

        Raises:
            BadSettings: two stages write the same path.
        """
        self._exact: dict[str, str] = {}
        self._inside: dict[str, set[str]] = {}
        for stage in stages:
            for out in stage.outputs:
                other = self._exact.setdefault(out.path, stage.name)
                if other != stage.name:
                    raise BadSettings(
                        f"dvc.yaml: {stage.name} and {other} both write {out.path}: "
                        "give each its own path"
                    )
                for parent in _parents(out.path):
                    self._inside.setdefault(parent, set()).add(stage.name)

    def of(self, path: str) -> set[str]:
        """Return the stages that make a path, a folder around it or a part of it."""
        around = (self._exact.get(place) for place in (path, *_parents(path)))
        return {name for name in around if name} | self._inside.get(path, set())


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]
