"""The state of every stage and all reasons for it, before anything is paid.

Nothing is run, written or asked of a server, and neither torch, MLflow nor Prefect is imported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from flows import differences
from flows.differences import Reason
from flows.forecast import Forecast
from flows.graph import Graph, dvc_errors, is_gpu
from flows.restore import restorable_outputs
from flows.tracked import TrackedParams
from tasks.contracts import files, paths
from tasks.contracts.params import STAGES

State = Literal["stale", "waiting", "cached", "fresh"]
STATES: tuple[State, ...] = ("stale", "waiting", "cached", "fresh")
LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class StagePlan:
    """What will become of one stage."""

    name: str
    state: State
    gpu: bool
    reasons: list[Reason]
    estimated_seconds: float | None
    """How long its last real execution took; ``None`` where there was none here."""


@dataclass(frozen=True)
class Leftovers:
    """Records and data of rows that ``params.yaml`` no longer has."""

    lock: list[str]
    data: list[str]


@dataclass(frozen=True)
class Plan:
    """What a run would do, stages in the order in which it would."""

    stages: list[StagePlan]
    leftovers: Leftovers = field(default_factory=lambda: Leftovers([], []))

    @property
    def unfresh(self) -> list[StagePlan]:
        """The stages that a run would look at: all but the fresh ones."""
        return [stage for stage in self.stages if stage.state != "fresh"]

    @property
    def counts(self) -> dict[State, int]:
        """How many stages are in each state that occurs."""
        states = [stage.state for stage in self.stages]
        return {state: states.count(state) for state in STATES if state in states}

    @property
    def estimated_gpu_seconds(self) -> float:
        """What the GPU stages that run, or may run, took the last time, in sum."""
        costly = (stage for stage in self.stages if stage.gpu and stage.state in COSTS)
        return round(sum(stage.estimated_seconds or 0.0 for stage in costly), 3)


COSTS = ("stale", "waiting")
"""The states in which a stage runs or may run; a restored one costs nothing."""


def make_plan(graph: Graph, codes: Mapping[str, str], selected: Iterable[str]) -> Plan:
    """Decide the state of the selected stages.

    Args:
        graph: the pipeline, freshly loaded; the hashes in its stages are changed.
        codes: the code fingerprint of every ``stage@row``, as it is now.
        selected: names from ``graph.select``.
    """
    wanted = set(selected)
    planner = _Planner(graph, codes)
    with dvc_errors():
        stages = [planner.decide(name) for name in graph.planned() if name in wanted]
    return Plan(stages, _leftovers(graph, planner.commands))


class _Planner:
    """Goes through the stages, upstream first."""

    def __init__(self, graph: Graph, codes: Mapping[str, str]) -> None:
        self._graph = graph
        self._forecast = Forecast(graph, codes)
        self._params = TrackedParams()
        self.commands = locked_commands()

    def decide(self, name: str) -> StagePlan:
        stage = self._graph.stages[name]
        params = self._params.of(stage)
        inputs = self._input_reasons(name, stage, params)
        outputs = differences.output_differences(stage) if name in self.commands else []
        reasons = [*inputs, *outputs]
        state = self._state(stage, reasons, params)
        return StagePlan(name, state, is_gpu(stage), reasons, last_seconds(name))

    def _input_reasons(
        self, name: str, stage: Any, params: dict[str, dict[str, Any]]
    ) -> list[Reason]:
        found: list[Reason] = []
        if name in self.commands:
            found += differences.command_differences(stage, self.commands[name])
        else:
            found += differences.never_ran(stage)
        for dependency in stage.deps:
            if dependency.def_path in params:
                found += differences.param_differences(dependency, params[dependency.def_path])
        for dependency in stage.deps:
            if dependency.def_path not in params:
                found += differences.file_differences(stage, dependency, self._forecast)
        return _told_once(found, never_ran=name not in self.commands)

    def _state(self, stage: Any, reasons: list[Reason], params: dict[str, dict[str, Any]]) -> State:
        if not reasons:
            self._forecast.keep(stage)
            return "fresh"
        kinds = {reason.kind for reason in reasons}
        if "upstream" in kinds:
            self._forecast.rewrite(stage)
            return "waiting" if kinds == {"upstream"} else "stale"
        outputs = restorable_outputs(stage, self._forecast, params, unchanged=kinds == {"missing"})
        self._forecast.rewrite(stage, outputs)
        return "cached" if outputs else "stale"


def _told_once(reasons: list[Reason], never_ran: bool) -> list[Reason]:
    """Drop repeated reasons; a stage that never ran has no older values to compare with."""
    kept: dict[tuple[str, str], Reason] = {}
    for reason in reasons:
        absent_input = reason.kind == "data" and reason.new is None
        if not never_ran or reason.kind in ("missing", "upstream") or absent_input:
            kept.setdefault((reason.kind, reason.what), reason)
    return list(kept.values())


def locked_commands() -> dict[str, str]:
    """Return the recorded command of every stage in ``dvc.lock``."""
    if not LOCK.is_file():
        return {}
    # DVC has read the same file before and checked it; libyaml reads it ten times as fast.
    lock = yaml.load(LOCK.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return {name: entry["cmd"] for name, entry in ((lock or {}).get("stages") or {}).items()}


def last_seconds(name: str) -> float | None:
    """Return how long the last real execution of a stage took, where one is known."""
    path = paths.STATE / "durations" / f"{name}.json"
    try:
        return float(files.read_json(path)["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        # It is a hint from an earlier run: a missing or torn one only means that nothing is known.
        return None


def _leftovers(graph: Graph, commands: Mapping[str, str]) -> Leftovers:
    folders = [
        folder
        for stage in STAGES
        for folder in sorted((paths.DATA / stage).glob("*"))
        if folder.is_dir() and f"{stage}@{folder.name}" not in graph.stages
    ]
    return Leftovers(
        lock=[name for name in commands if name not in graph.stages],
        data=[folder.as_posix() for folder in folders],
    )
