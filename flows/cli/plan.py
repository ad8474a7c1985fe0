"""A plan for people (a table, what has to run first), as a flowchart, and as one JSON object.

The flowchart is Mermaid, which GitHub, GitLab and most editors draw.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from rich.text import Text

from flows.plan.plan import COSTS, STATES, Judged, Plan, StagePlan, State
from flows.plan.reasons import Reason, Verdict, reason_lines
from flows.terminal import console, duration, print_json, table
from tasks.fingerprint.modules import NOT_HASHED

Output = Literal["table", "json", "graph"]

STATE_STYLES = {"stale": "bold yellow", "waiting": "yellow", "cached": "cyan", "recommit": "cyan"}
STATE_MEANINGS = {
    "stale": "will run",
    "waiting": "may run: something upstream is stale",
    "cached": "will be restored from the run cache",
    "recommit": "taken from data/ into DVC's cache; nothing runs",
    "fresh": "stays as it is",
}
VERDICT_MEANINGS: dict[Verdict, str] = {
    "same": "a short run gives the same bytes: `downstream accept --probe` records it",
    "different": "a short run gives other bytes",
    "none": "it cannot tell",
}
NAMES_SHOWN = 8
WHYS_SHOWN = 3
DRAWN_ONE_BY_ONE = 60
"""With more stages than this, the rows of one stage are drawn as one node."""
NODE_STYLES: dict[State, str] = {
    "stale": "fill:#f4a742,stroke:#8a5200,color:#1a1a1a",
    "waiting": "fill:#fbe3a1,stroke:#8a6d1a,color:#1a1a1a,stroke-dasharray:4",
    "cached": "fill:#a8d8ea,stroke:#20606f,color:#1a1a1a",
    "recommit": "fill:#d5ebf3,stroke:#20606f,color:#1a1a1a",
    "fresh": "fill:#e3f1e1,stroke:#4c7a4c,color:#1a1a1a",
}


def to_object(plan: Plan) -> dict[str, Any]:
    """Return a plan as the object that ``plan --json`` prints."""
    return {
        "stages": [_stage_object(stage) for stage in plan.stages],
        "estimated_gpu_seconds": plan.estimated_gpu_seconds,
        "leftovers": asdict(plan.leftovers),
        "libraries": {
            name: {library: asdict(change) for library, change in changes.items()}
            for name, changes in plan.libraries.items()
        },
    }


def _stage_object(stage: StagePlan) -> dict[str, Any]:
    parts = {**vars(stage), "reasons": [_reason_object(reason) for reason in stage.reasons]}
    more = {
        "frozen": [_reason_object(reason) for reason in stage.frozen],
        "probe": _probe_object(stage.probe) if stage.probe else None,
    }
    # What is not there for most stages is left out where it says nothing.
    return {key: more.get(key, parts[key]) for key in parts if key not in more or more[key]}


def _probe_object(probe: Judged) -> dict[str, Any]:
    parts = asdict(probe)
    del parts["after"]
    return parts


def _reason_object(reason: Reason) -> dict[str, Any]:
    parts = asdict(reason)
    del parts["known"]
    # What is not there for most reasons is left out where it says nothing.
    rare = ("definitions", "default", "misrecorded", "probe")
    return {key: parts[key] for key in parts if key not in rare or parts[key]}


def print_plan(
    plan: Plan, targets: tuple[str, ...], output: Output, upstream: Mapping[str, list[str]]
) -> None:
    """Print a plan on stdout.

    Args:
        plan: the plan.
        targets: what was asked for, for the command to run.
        output: as what.
        upstream: whom each stage depends on.
    """
    if output == "json":
        print_json(to_object(plan))
    elif output == "graph":
        sys.stdout.write(to_mermaid(plan, upstream))
    else:
        show_plan(plan, targets, NOT_HASHED)


def show_plan(plan: Plan, targets: tuple[str, ...], not_hashed: dict[str, str]) -> None:
    """Print a plan: stale stages first, each with its reasons; fresh ones only counted.

    Args:
        plan: the plan.
        targets: what was asked for, for the command to run.
        not_hashed: the modules left out of code fingerprints, and why.
    """
    out = console()
    if plan.unfresh:
        shown = table("state", "stage", "why", "last took", "on", right=["last took"])
        for stage in sorted(plan.unfresh, key=lambda stage: STATES.index(stage.state)):
            took = stage.estimated_seconds
            shown.add_row(
                Text(stage.state, style=STATE_STYLES[stage.state]),
                stage.name,
                "\n".join([*reason_lines(stage.reasons), *_probe_lines(stage)]),
                "-" if took is None else duration(took),
                "gpu" if stage.gpu else "cpu",
            )
        out.print(shown)
    for line in _summary(plan, targets):
        out.print(line, soft_wrap=True)
    for line in [*_frozen_lines(plan), *_leftover_lines(plan), *_library_lines(plan)]:
        out.print(line, style="dim", soft_wrap=True)
    if any(reason.kind == "code" for stage in plan.stages for reason in stage.reasons):
        names = ", ".join(f"{name} ({why})" for name, why in not_hashed.items())
        out.print(f"Never a reason to run, by rule: {names}", style="dim", soft_wrap=True)


def _probe_lines(stage: StagePlan) -> list[str]:
    """Say what a probe says of a stage, where one was asked for."""
    if stage.probe is None:
        return []
    verdict = stage.probe.verdict
    why = f": {_some(stage.probe.why, WHYS_SHOWN)}" if stage.probe.why else ""
    return [f"probe: {verdict} ({VERDICT_MEANINGS[verdict]}){why}"]


def _summary(plan: Plan, targets: tuple[str, ...]) -> list[str]:
    if not plan.unfresh:
        return [f"All stages are fresh ({len(plan.stages)}): nothing to run."]
    parts = [f"{n} {state} ({STATE_MEANINGS[state]})" for state, n in plan.counts.items()]
    command = " ".join(["downstream run", *targets])
    return ["", f"{', '.join(parts)}.", f"{_cost(plan)} To run it: {command}"]


def _cost(plan: Plan) -> str:
    costly = [stage for stage in plan.stages if stage.state in COSTS]
    if not costly:
        return "It costs no computation."
    known = sum(stage.estimated_seconds or 0.0 for stage in costly)
    unknown = sum(stage.estimated_seconds is None for stage in costly)
    if unknown == len(costly):
        return "How long it takes is not known: none of it has run here before."
    on_gpu = duration(plan.estimated_gpu_seconds)
    more = f", and {unknown} of unknown time" if unknown else ""
    return f"At most about {duration(known)} ({on_gpu} of it in GPU stages){more}."


def _frozen_lines(plan: Plan) -> list[str]:
    return [
        f"Frozen in dvc.yaml, so it stays as it is: {stage.name}: "
        f"{'; '.join(reason_lines(stage.frozen))}"
        for stage in plan.stages
        if stage.frozen
    ]


def _leftover_lines(plan: Plan) -> list[str]:
    left = {"records in dvc.lock": plan.leftovers.lock, "folders": plan.leftovers.data}
    lines = [
        f"Left over from rows that are gone: {what} {_some(names)}"
        for what, names in left.items()
        if names
    ]
    return [*lines, "To remove them: downstream clean"] if lines else []


def _library_lines(plan: Plan) -> list[str]:
    stages: dict[str, list[str]] = {}
    for name, changes in plan.libraries.items():
        versions = (
            f"{library} {change.old or '-'} → {change.new or '-'}"
            for library, change in changes.items()
        )
        stages.setdefault(", ".join(versions), []).append(name)
    lines = [
        f"Made with other library versions (no reason to run): {_some(names)}: {changes}"
        for changes, names in stages.items()
    ]
    elsewhere = plan.made_elsewhere
    unknown = [f"Made elsewhere, with library versions unknown here: {_some(elsewhere)}"]
    return [*lines, *(unknown if elsewhere else [])]


def _some(names: list[str], shown: int = NAMES_SHOWN) -> str:
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def to_mermaid(plan: Plan, upstream: Mapping[str, list[str]]) -> str:
    """Return the flowchart: each stage coloured by its state, an arrow to whom it hands over.

    Args:
        plan: the plan.
        upstream: whom each stage depends on.
    """
    names = [stage.name for stage in plan.stages]
    grouped = len(names) > DRAWN_ONE_BY_ONE
    node_of = {name: name.partition("@")[0] if grouped else name for name in names}
    members: dict[str, list[State]] = {}
    for stage in plan.stages:
        members.setdefault(node_of[stage.name], []).append(stage.state)
    lines = ["flowchart LR"]
    for node, states in members.items():
        counts = Counter(states)
        present = [state for state in STATES if state in counts]
        label = ", ".join(f"{counts[state]} {state}" for state in present) if grouped else states[0]
        lines.append(f'  {_key(node)}["{node}<br/>{label}"]:::{present[0]}')
    edges = {  # a dictionary, since it keeps the order
        (node_of[other], node_of[name]): None
        for name in names
        for other in upstream[name]
        if other in node_of and node_of[other] != node_of[name]
    }
    lines += [f"  {_key(start)} --> {_key(end)}" for start, end in edges]
    used = {state for states in members.values() for state in states}
    lines += [f"  classDef {state} {NODE_STYLES[state]}" for state in STATES if state in used]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    # Row names hold a-z, 0-9 and '-' alone, so this stays one to one; "end" alone would be a word
    # of Mermaid's own.
    return "s_" + name.replace("@", "__").replace("-", "_d")
