"""Whether changed code leaves a stage's bytes as they are, judged by a short run before and after.

Asked for GPU stages of which nothing but code differs from their record. ``same`` is said only if
all output files of the short run are equal and every changed statement was executed in it
(``tasks.probe.changes``); what cannot be judged is ``none``, with why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from flows.dvc.contents import recorded_text
from flows.dvc.graph import Graph
from flows.plan.plan import Judged, Plan, StagePlan
from flows.plan.reasons import Reason, Verdict, reason_line
from flows.probe.earlier_code import earlier_code
from tasks.contracts import paths
from tasks.contracts.params import read_params
from tasks.errors import DownstreamError
from tasks.fingerprint.modules import module_source
from tasks.probe.changes import Tree, not_shown
from tasks.probe.probe import Probe, probe
from tasks.probe.workspace import PROBED, Subject
from tasks.progress import say
from tasks.stage_process import snapshot
from tasks.stage_process.executed import executed_by
from tasks.stage_process.identity import snapshot_of
from tasks.stage_process.stage_hash import entry_hash


def with_probes(graph: Graph, plan: Plan) -> Plan:
    """Return a plan that says of each GPU stage with changed code what a probe says."""
    judged = judge(graph, plan.stages)
    stages = []
    for stage in plan.stages:
        probed = judged.get(stage.name)
        if probed is not None:
            reasons = [
                replace(reason, probe=probed.verdict) if reason.kind == "code" else reason
                for reason in stage.reasons
            ]
            stage = replace(stage, reasons=reasons, probe=probed)  # noqa: PLW2901
        stages.append(stage)
    return replace(plan, stages=stages)


def judge(graph: Graph, stages: Iterable[StagePlan]) -> dict[str, Judged]:
    """Judge every GPU stage among some whose code differs from its record.

    Args:
        graph: the pipeline.
        stages: of a plan.
    """
    return {
        stage.name: _judge(graph, stage)
        for stage in stages
        if stage.gpu and any(reason.kind == "code" for reason in stage.reasons)
    }


def _judge(graph: Graph, stage: StagePlan) -> Judged:
    group, _, row = stage.name.partition("@")
    other = other_reasons(stage.reasons)
    if group not in PROBED:
        return Judged("none", [f"only {', '.join(PROBED)} can be probed"])
    if other:
        return Judged("none", [f"not only code differs: {line}" for line in other])
    record = graph.stages[stage.name].record
    path = paths.code(group, row).as_posix()
    text = record and recorded_text(graph.repo, path, record.dependencies.get(path))
    made_under = entry_hash(graph.lock[stage.name]) if record else ""
    made_with = snapshot_of(stage.name, made_under)
    earlier = earlier_code(Path.cwd(), text, made_with) if text else None
    if record is None or earlier is None:
        return Judged("none", ["the code of its result is in no snapshot and no commit here"])
    subject = Subject(group, row, read_params(), Path.cwd())
    inputs = {name: md5 for name, md5 in record.dependencies.items() if name != path}
    folders = earlier.folder, snapshot.take(Path.cwd())
    say(f"{stage.name}: probing the code of {earlier.name} and the code as it is now")
    try:
        old, new = (probe(subject, folder / "tasks", inputs) for folder in folders)
    except DownstreamError as error:
        return Judged("none", [str(error)], before=earlier.name)
    differing = sorted(
        name for name in {*old.files, *new.files} if old.files.get(name) != new.files.get(name)
    )
    if differing:
        return Judged("different", differing, new.device, before=earlier.name)
    modules = [reason.what for reason in stage.reasons if reason.kind == "code"]
    # The lines are those of the code that the result was made with, and of no other state.
    is_own = earlier.folder.name == made_with
    lines = executed_by(stage.name, made_under) if is_own else None
    before, after = _tree(folders[0], modules, old, lines), _tree(folders[1], modules, new)
    hidden = not_shown(before, after)
    verdict: Verdict = "none" if hidden else "same"
    return Judged(verdict, hidden, new.device, new.digest, earlier.name, folders[1])


def other_reasons(reasons: Iterable[Reason]) -> list[str]:
    """Return, in words, what differs beside the code of modules.

    What lies upstream does not count: equal bytes hold for the inputs that were recorded.
    """
    return [
        reason_line(reason)
        for reason in reasons
        if reason.kind not in ("code", "upstream") or "/" in reason.what or reason.default
    ]


def _tree(
    folder: Path,
    modules: Iterable[str],
    made: Probe,
    in_full_run: Mapping[str, Iterable[int]] | None = None,
) -> Tree:
    sources = {}
    for module in modules:
        path = module_source(folder, module)
        if path.is_file():
            sources[module] = path.read_text(encoding="utf-8")
    return Tree(sources, made.executed, in_full_run)
