"""The state of every stage and all reasons for it, before anything is paid.

Nothing is run, written or asked of a server, and neither torch, MLflow nor Prefect is imported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from flows.dvc.graph import Graph, Stage, load_graph
from flows.dvc.internals import dvc_errors
from flows.dvc.params import ParameterFiles
from flows.dvc.run_cache import recorded_outputs, restorable_outputs
from flows.plan.forecast import Forecast
from flows.plan.reasons import NOT_IN_CACHE, Reason, Verdict, misrecorded, reasons_of
from tasks.contracts import files, paths
from tasks.contracts.params import STAGES
from tasks.fingerprint import libraries
from tasks.machine.libraries import versions_now
from tasks.stage_process.stage_hash import entry_hash, run_cache_of

State = Literal["stale", "waiting", "cached", "recommit", "fresh"]
STATES: tuple[State, ...] = ("stale", "waiting", "cached", "recommit", "fresh")


@dataclass(frozen=True)
class Judged:
    """What a probe says of a stage whose code has changed."""

    verdict: Verdict
    why: list[str]
    """Of ``different`` the files that differ; of ``none`` what was not shown."""
    device: str | None = None
    """On what kind of device it was seen."""
    digest: str | None = None
    """Of the short run's output files, where they are equal."""
    before: str | None = None
    """Which state of the code the recorded result was made with."""
    after: Path | None = None
    """The snapshot of the code now that was run."""


@dataclass(frozen=True)
class StagePlan:
    """What will become of one stage."""

    name: str
    state: State
    gpu: bool
    reasons: list[Reason]
    estimated_seconds: float | None
    """How long its last real execution took; ``None`` where there was none here."""
    frozen: list[Reason] = field(default_factory=list)
    """What differs and does not count, since ``dvc.yaml`` says that the stage is frozen."""
    probe: Judged | None = None
    """What a probe says, where one was asked for."""


@dataclass(frozen=True)
class Change:
    """A value then and now; null where there is none."""

    old: str | None
    new: str | None


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
    libraries: dict[str, dict[str, Change]] = field(default_factory=dict)
    """By stage, the libraries whose version is another than its result was made with."""
    made_elsewhere: list[str] = field(default_factory=list)
    """The GPU stages of which it is not known here with which versions they were made."""

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
"""The states in which a stage runs or may run; what is restored or put back costs nothing."""
READ_BY_A_STAGE = ("param", "data", "code", "upstream", "library")
"""The kinds of reason that a frozen stage is kept from."""


def plan_now(targets: Iterable[str], downstream: str | None = None) -> tuple[Graph, Plan]:
    """Plan the workspace in the current directory as it is now.

    Args:
        targets: stages with all upstream of them; none is everything.
        downstream: in place of targets, a stage with all that depends on it.

    Raises:
        DownstreamError: a target names no stage, or the workspace cannot be read.
    """
    from flows.plan.fingerprints import current_codes

    codes = current_codes()
    graph = load_graph()
    chosen = graph.select_downstream(downstream) if downstream else graph.select(targets)
    return graph, make_plan(graph, codes, chosen)


def make_plan(graph: Graph, codes: Mapping[str, str], selected: Iterable[str]) -> Plan:
    """Decide the state of the selected stages.

    Args:
        graph: the pipeline, from ``load_graph``.
        codes: the code fingerprint of every ``stage@row``, as it is now.
        selected: names from ``graph.select``.
    """
    wanted = set(selected)
    stages = []
    with dvc_errors():
        forecast, parameters = Forecast(graph, codes), ParameterFiles(graph.repo)
        run_cache = run_cache_of(graph.repo)
        for name in graph.planned():
            if name in wanted:
                stage = graph.stages[name]
                params = parameters.of(stage)
                reasons = reasons_of(stage, params, forecast)
                if name in graph.lock:
                    known = {(reason.kind, reason.what) for reason in reasons}
                    wrong = misrecorded(name, graph.lock[name], run_cache)
                    reasons += [one for one in wrong if (one.kind, one.what) not in known]
                held = []
                if stage.frozen:
                    held = [reason for reason in reasons if reason.kind in READ_BY_A_STAGE]
                    reasons = [reason for reason in reasons if reason.kind not in READ_BY_A_STAGE]
                state = _decide(stage, reasons, params, forecast)
                seconds = _last_seconds(name)
                stages.append(StagePlan(name, state, stage.gpu, reasons, seconds, held))
    return Plan(
        stages,
        leftovers(graph),
        _changed_libraries(wanted, graph.lock),
        _made_elsewhere(graph, wanted),
    )


def differs(graph: Graph, name: str) -> bool:
    """Tell whether anything separates a stage from its record, as the workspace lies there now."""
    stage = graph.stages[name]
    with dvc_errors():
        params = ParameterFiles(graph.repo).of(stage)
        return bool(reasons_of(stage, params, Forecast(graph, {})))


def _decide(
    stage: Stage, reasons: list[Reason], params: dict[str, dict[str, Any]], forecast: Forecast
) -> State:
    """Return a stage's state, and tell the forecast what becomes of its outputs."""
    if not reasons:
        forecast.keep(stage)
        return "fresh"
    if stage.frozen:
        # Nothing can make it: DVC takes what lies there, if all of it does.
        there = all(forecast.on_disk(out.path).md5 for out in stage.outputs)
        forecast.keep(stage)
        return "recommit" if there else "stale"
    kinds = {reason.kind for reason in reasons if reason.new != NOT_IN_CACHE}
    if not kinds:
        forecast.keep(stage)
        return "recommit"
    if "upstream" in kinds:
        forecast.rewrite(stage)
        return "waiting" if kinds == {"upstream"} else "stale"
    if any(reason.misrecorded for reason in reasons):
        forecast.rewrite(stage)  # the run cache has the wrong result
        return "stale"
    record = stage.record
    if record and kinds == {"missing"} and all(out.path in record.outputs for out in stage.outputs):
        on_disk = {out.path: forecast.on_disk(out.path).md5 for out in stage.outputs}
        outputs = recorded_outputs(forecast.repo, stage, record, on_disk)
    else:
        contents = {path: forecast.content(path) for path in stage.dependencies}
        inputs = {path: content for path, content in contents.items() if content}
        outputs = restorable_outputs(forecast.repo, stage, inputs, params)
    forecast.rewrite(stage, outputs)
    return "cached" if outputs else "stale"


def _last_seconds(name: str) -> float | None:
    """Return how long the last real execution of a stage took, where one is known."""
    path = paths.STATE / "durations" / f"{name}.json"
    try:
        return float(files.read_json(path)["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        # It is a hint from an earlier run: a missing or torn one only means that nothing is known.
        return None


def leftovers(graph: Graph) -> Leftovers:
    """Return what belongs to rows that are gone."""
    made = {paths.stage_output(*name.split("@", 1)) for name in graph.stages if "@" in name}
    rooms = dict.fromkeys(paths.stage_output(stage, "") for stage in STAGES)  # two share one
    folders = [path for room in rooms for path in sorted(room.glob("*")) if path.is_dir()]
    return Leftovers(
        lock=[name for name in graph.lock if name not in graph.stages],
        data=[folder.as_posix() for folder in folders if folder not in made],
    )


def _made_elsewhere(graph: Graph, wanted: set[str]) -> list[str]:
    if not libraries.has_versions():
        return []
    return [
        name
        for name in graph.planned()
        if name in wanted
        and graph.stages[name].gpu
        and name in graph.lock
        and libraries.versions_then(name, entry_hash(graph.lock[name])) is None
    ]


def _changed_libraries(
    wanted: set[str], lock: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Change]]:
    if not libraries.has_versions():
        return {}
    changes = {}
    for name in wanted & lock.keys():
        then = libraries.versions_then(name, entry_hash(lock[name]))
        now = versions_now()
        if then is not None and then != now:
            names = sorted({*then, *now})
            pairs = {library: Change(then.get(library), now.get(library)) for library in names}
            changes[name] = {name: pair for name, pair in pairs.items() if pair.old != pair.new}
    return dict(sorted(changes.items()))
