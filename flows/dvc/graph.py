"""The stages of ``dvc.yaml`` in an order that runs, and who needs whom, read through DVC itself."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from tasks.errors import BadSettings, DownstreamError, one_of

CODE = "code"
"""The one stage that no plan lists: its outcome is computed in memory instead of run."""


@dataclass(frozen=True)
class Graph:
    """The pipeline: stages by name, upstream first.

    They are DVC's own objects where something is recorded (``load_graph``), and ``declared.Stage``
    where it is planned (``declared.load_pipeline``).
    """

    repo: Any
    stages: dict[str, Any]
    upstream: dict[str, list[str]]
    lock: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The stages of ``dvc.lock`` as they stand there, where it was read for a plan."""
    makers: Any = None
    """``declared.Makers`` of the stages, where they were read for a plan."""

    def planned(self) -> list[str]:
        """Return the stages that a plan lists: those with a command, without ``code``."""
        return [name for name, stage in self.stages.items() if stage.cmd and name != CODE]

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
                waiting += self.upstream[name]
        return [name for name in self.planned() if name in wanted]

    def named(self, target: str) -> list[str]:
        """Return the stages that one target names: itself, or all rows of one.

        Raises:
            DownstreamError: it names no stage.
        """
        if target in self.stages:
            return [target]
        rows = {name.partition("@")[2]: name for name in self.stages if _is_row_of(name, target)}
        if rows:
            return list(rows.values())
        group, _, row = target.partition("@")
        rows = {name.partition("@")[2]: name for name in self.stages if _is_row_of(name, group)}
        if row and rows:
            raise DownstreamError(f"{group} has no row {row!r}; {one_of(row, rows)}")
        groups = {name.partition("@")[0] for name in self.planned()}
        raise DownstreamError(f"no stage {target!r} in dvc.yaml; {one_of(group, groups)}")


def _is_row_of(name: str, group: str) -> bool:
    return name.startswith(f"{group}@")


def load_graph() -> Graph:
    """Read ``dvc.yaml``, ``params.yaml`` and ``dvc.lock`` of the current directory.

    Raises:
        BadSettings: DVC cannot read one of them.
    """
    from dvc.repo import Repo

    quiet_dvc()

    with dvc_errors():
        repo = Repo(_wait_for_lock=True)
        needs = repo.index.graph
        stages = {stage_name(stage): stage for stage in repo.index.stages}
        upstream = {
            name: sorted(stage_name(other) for other in needs.successors(stage))
            for name, stage in stages.items()
        }
    return Graph(repo, {name: stages[name] for name in in_order(upstream)}, upstream)


def in_order(upstream: Mapping[str, Iterable[str]]) -> list[str]:
    """Return all stages, each after those it depends on.

    Raises:
        BadSettings: two stages depend on each other.
    """
    try:
        return list(TopologicalSorter(upstream).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise BadSettings(
            f"dvc.yaml: stages depend on each other in a circle: {circle}: break it"
        ) from None


def stage_name(stage: Any) -> str:
    """Return the name of a DVC stage, whatever the current directory is."""
    return getattr(stage, "name", None) or stage.path_in_repo


def is_gpu(stage: Any) -> bool:
    """Tell whether a stage carries a GPU (``meta: {gpu: true}`` in ``dvc.yaml``)."""
    return bool((stage.meta or {}).get("gpu"))


def quiet_dvc() -> None:
    """Keep DVC's progress bars and hints out of our own lines."""
    # After its import, which sets a level of its own.
    import dvc  # noqa: F401

    logging.getLogger("dvc").setLevel(logging.CRITICAL)


@contextmanager
def dvc_errors() -> Iterator[None]:
    """Turn what DVC cannot read into one of our own errors."""
    from dvc.exceptions import DvcException

    try:
        yield
    except DvcException as error:
        text = " ".join(str(error).split())
        raise BadSettings(f"DVC cannot read this workspace: {text}") from error
