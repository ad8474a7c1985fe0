"""The stages of ``dvc.yaml``, what ``dvc.lock`` has recorded of each, and who needs whom.

DVC's own resolver reads ``dvc.yaml``, so that both see the same stages; its stage objects, which
cost seconds at 450 stages, are made only where something is recorded (``recorder``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from flows.dvc.internals import dvc_errors, open_repo, resolved_entries
from tasks.contracts import paths
from tasks.contracts.lock import hashes, read_lock
from tasks.contracts.parse_cache import parsed_once
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import BadSettings, DownstreamError, one_of

if TYPE_CHECKING:
    from dvc.repo import Repo

CODE = "code"
"""The one stage that no plan lists: its outcome is computed in memory instead of run."""
PIPELINE = Path("dvc.yaml")
VARS = "vars:"
LISTS_OF_OUTPUTS = ("outs", "metrics", "plots")

Command = str | list[str]
"""A shell command, or several, one after another."""


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

    command: Command | None
    dependencies: dict[str, str]
    params: dict[str, dict[str, Any]]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Stage:
    """A stage as ``dvc.yaml`` declares it."""

    name: str
    command: Command | None
    dependencies: list[str]
    params: dict[str, list[str]]
    """Tracked keys by file; no keys means the whole file."""
    outputs: list[Output]
    gpu: bool = False
    """Whether it carries a GPU (``meta: {gpu: true}``)."""
    frozen: bool = False
    """Never run, whatever it reads (``frozen: true``)."""
    always_changed: bool = False
    """Run every time (``always_changed: true``, or a command that reads and writes nothing)."""
    record: Record | None = None


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
        around = {self._exact[outer] for outer in (path, *_parents(path)) if outer in self._exact}
        return around | self._inside.get(path, set())


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


@dataclass(frozen=True)
class Graph:
    """The pipeline: stages by name, upstream first."""

    repo: "Repo"
    stages: dict[str, Stage]
    upstream: dict[str, list[str]]
    makers: Makers
    lock: dict[str, dict[str, Any]]
    """The entries of ``dvc.lock`` as they stand there, those of gone rows too."""

    def planned(self) -> list[str]:
        """Return the stages that a plan lists: those with a command, without ``code``."""
        return [name for name, stage in self.stages.items() if stage.command and name != CODE]

    def select_downstream(self, target: str) -> list[str]:
        """Return the planned stages that a target names, with all that depends on them.

        Raises:
            DownstreamError: the target names no stage.
        """
        wanted = set(self.named(target))
        for name in self.stages:
            if not wanted.isdisjoint(self.upstream[name]):
                wanted.add(name)
        return [name for name in self.planned() if name in wanted]

    def ends(self, names: Iterable[str]) -> list[str]:
        """Return those of some stages that none of the others depends on."""
        wanted = list(names)
        needed = {other for name in wanted for other in self.upstream[name]}
        return [name for name in wanted if name not in needed]

    def select(self, targets: Iterable[str]) -> list[str]:
        """Return the planned stages that the targets name, with all that lies upstream of them.

        Args:
            targets: stages (``evaluate@reuters-topics``) or all rows of one (``evaluate``);
                none selects everything.

        Raises:
            DownstreamError: a target names no stage.
        """
        waiting = [name for target in targets for name in self.named(target)]
        if not waiting:
            return self.planned()
        wanted: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                # As DVC does: nothing is brought up to date for a frozen stage.
                waiting += [] if self.stages[name].frozen else self.upstream[name]
        return [name for name in self.planned() if name in wanted]

    def named(self, target: str) -> list[str]:
        """Return the stages that one target names: itself, or all rows of one.

        Raises:
            DownstreamError: it names no stage.
        """
        if target in self.stages:
            return [target]
        group, _, row = target.partition("@")
        rows = {
            name.partition("@")[2]: name for name in self.stages if name.startswith(f"{group}@")
        }
        if rows and target == group:
            return list(rows.values())
        if rows:
            raise DownstreamError(f"{group} has no row {row!r}; {one_of(row, rows)}")
        groups = {name.partition("@")[0] for name in self.planned()}
        raise DownstreamError(f"no stage {target!r} in dvc.yaml; {one_of(group, groups)}")


def load_graph() -> Graph:
    """Read ``dvc.yaml``, ``params.yaml`` and ``dvc.lock`` of the current directory.

    Raises:
        BadSettings: one of them cannot be read.
    """
    repo = open_repo()
    with dvc_errors():
        entries = _entries(repo)
    lock = read_lock()
    stages = {name: _stage(name, entry, lock.get(name)) for name, entry in entries.items()}
    makers = Makers(stages.values())
    upstream = {
        name: sorted({maker for path in stage.dependencies for maker in makers.of(path)} - {name})
        for name, stage in stages.items()
    }
    try:
        order = list(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise BadSettings(
            f"dvc.yaml: stages depend on each other in a circle: {circle}: break it"
        ) from None
    return Graph(repo, {name: stages[name] for name in order}, upstream, makers, lock)


def _entries(repo: "Repo") -> dict[str, dict[str, Any]]:
    """Return every stage of ``dvc.yaml`` with its variables filled in, by name."""
    from dvc import __version__

    def resolve() -> dict[str, dict[str, Any]]:
        return resolved_entries(repo, PIPELINE)

    try:
        texts = [path.read_text(encoding="utf-8") for path in (PIPELINE, paths.PARAMS)]
    except (OSError, UnicodeDecodeError):
        return resolve()  # DVC says what is wrong
    if _names_files(texts[0]):
        return resolve()
    entries: dict[str, dict[str, Any]] = parsed_once("pipeline", [__version__, *texts], resolve)
    return entries


def _names_files(pipeline: str) -> bool:
    """Tell whether the variables of a ``dvc.yaml`` may come from further files."""
    if pipeline.count(VARS) != 1:
        return VARS in pipeline  # a stage may have some of its own
    try:
        given = parse_yaml(pipeline).get("vars")
    except (AttributeError, yaml.YAMLError):
        return True
    return not isinstance(given, list) or not all(isinstance(part, dict) for part in given)


def _stage(name: str, entry: dict[str, Any], recorded: dict[str, Any] | None) -> Stage:
    record = None
    if recorded:
        read, written = hashes(recorded, "deps"), hashes(recorded, "outs")
        record = Record(recorded.get("cmd"), read, recorded.get("params") or {}, written)
    dependencies, params = list(entry.get("deps") or ()), _tracked(entry.get("params") or ())
    outputs = [out for key in LISTS_OF_OUTPUTS for out in _outputs(entry.get(key) or ())]
    frozen, unlinked = bool(entry.get("frozen")), not (dependencies or params or outputs)
    return Stage(
        name=name,
        command=entry.get("cmd"),
        dependencies=dependencies,
        params=params,
        outputs=outputs,
        gpu=bool((entry.get("meta") or {}).get("gpu")),
        frozen=frozen,
        always_changed=not frozen and (bool(entry.get("always_changed")) or unlinked),
        record=record,
    )


def _tracked(items: Iterable[Any]) -> dict[str, list[str]]:
    keys_by_file: dict[str, list[str]] = {}
    for item in items:
        by_file = item if isinstance(item, dict) else {paths.PARAMS.as_posix(): [item]}
        for file, keys in by_file.items():
            keys_by_file.setdefault(file, []).extend(keys or ())
    return keys_by_file


def _outputs(items: Iterable[Any]) -> Iterable[Output]:
    for item in items:
        options_by_path = item if isinstance(item, dict) else {item: {}}
        for path, options in options_by_path.items():
            given = options or {}
            yield Output(path, bool(given.get("cache", True)), bool(given.get("persist", False)))
