"""``downstream upgrade``: results of an earlier version of this project, taken over as they are.

A new version changes the code of every row, so the fingerprints of all results differ, and a run
would train everything again. Where nothing but the project's own code differs (the modules, the
command that ``dvc.yaml`` gives, settings that are new), the results are recorded as good under the
present code, as ``downstream accept`` does for one stage: no stage runs, and ``accepted.jsonl`` has
a line for each.
"""

from dataclasses import dataclass, field

from flows.dvc.graph import Graph, load_graph
from flows.plan.plan import StagePlan, make_plan
from flows.plan.reasons import reason_line
from flows.upkeep.accept import beyond_code, not_as_recorded, record, recording
from tasks.contracts.acceptances import Acceptance
from tasks.contracts.files import read_json
from tasks.contracts.params import read_params, row_of
from tasks.contracts.paths import stage_output
from tasks.machine.git import ask_git
from tasks.stage_process.identity import against_settings


@dataclass(frozen=True)
class Upgrade:
    """What became of the stages that were not fresh."""

    accepted: list[Acceptance] = field(default_factory=list)
    """Upstream first."""
    refused: dict[str, str] = field(default_factory=dict)
    """By stage, what differs beside the project's own code; it is left stale."""


def upgrade(codes: dict[str, str]) -> Upgrade:
    """Take over every result that differs from its record by this project's own code alone.

    Args:
        codes: the code fingerprint of every ``stage@row``, as it is now.

    Raises:
        StageFailed: another process works on one of the stages.
    """
    graph = load_graph()
    plan = make_plan(graph, codes, graph.planned())
    # What only waits for others has the same code as before.
    changed = [stage for stage in plan.unfresh if {r.kind for r in stage.reasons} != {"upstream"}]
    refused = {stage.name: _other_differences(stage, stage.name in graph.lock) for stage in changed}
    names = [name for name, differences in refused.items() if not differences]
    if not names:
        return Upgrade(refused={name: "; ".join(lines) for name, lines in refused.items()})
    reason = f"upgrade from {_earlier_version()}"
    with recording(names, codes) as stages:
        for stage in stages:
            altered = [what for what in not_as_recorded(stage) if what != "its command"]
            refused[stage.name] = altered or _misrecorded(graph, stage.name)
        good = [stage for stage in stages if not refused[stage.name]]
        accepted = record(graph, plan, good, reason)
    return Upgrade(accepted, {name: "; ".join(lines) for name, lines in refused.items() if lines})


def _other_differences(stage: StagePlan, ran: bool) -> list[str]:
    """Return, in words, what beside the project's own code separates a stage from its record."""
    if not ran:
        return ["it never ran"]
    return [
        *_decided_otherwise_today(stage.name),
        *beyond_code(reason for reason in stage.reasons if reason.kind != "command"),
        # A setting that was left to the code had another value; a new one had none.
        *(reason_line(reason) for reason in stage.reasons if reason.default and reason.known),
    ]


def _decided_otherwise_today(name: str) -> list[str]:
    """Return, in words, what a default that is new would do to a result, and so to its bytes.

    Of a text with several labels the first was kept, in the order of the sources. Without an
    official split it is the most frequent one today, and such a report names that rule.
    """
    stage, row = name.split("@", 1)
    if stage != "clean":
        return []
    try:
        report = read_json(stage_output(stage, row) / "report.json")
        without_split = report["splits"]["none"]["dropped"]["duplicate_other_label"]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # other stages' report, or a corpus with an official split
    if not without_split or len(report["splits"]) > 1 or "label_conflicts" in report:
        return []
    given = row_of(read_params(), "corpora", row).get(stage) or {}
    if given.get("label_conflicts") is not None:
        return []  # which is a difference by itself
    return [
        f"{without_split:,} records whose label was not the first of equal ones are judged by "
        f"majority now: corpora.{row}.clean.label_conflicts: first keeps the records as they are"
    ]


def _misrecorded(graph: Graph, name: str) -> list[str]:
    """Return, in words, what a record of an earlier version has otherwise than it was made with."""
    return [
        f"{fault.what}: recorded as {fault.recorded!r}, made with {fault.made_with!r}"
        for fault in against_settings(graph.lock[name])
    ]


def _earlier_version() -> str:
    """Return the commit that has the results that are taken over."""
    commit = ask_git("log", "-1", "--format=%h", "--", "dvc.lock")
    return commit or "an earlier version"
