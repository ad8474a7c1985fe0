"""A plan for people (a table, what has to run first) and for scripts (one JSON object)."""

import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.differences import Reason
from flows.plan import COSTS, STATES, Plan, StagePlan

STATE_STYLES = {"stale": "bold yellow", "waiting": "yellow", "cached": "cyan"}
STATE_MEANINGS = {
    "stale": "will run",
    "waiting": "may run: something upstream is stale",
    "cached": "will be restored from the run cache",
    "fresh": "stays as it is",
}
REASONS_SHOWN = 6
VALUE_WIDTH = 40
HASH_WIDTH = 8
PIPE_WIDTH = 160


def to_object(plan: Plan) -> dict[str, Any]:
    """Return a plan as the object that ``plan --json`` prints."""
    return {
        "stages": [asdict(stage) for stage in plan.stages],
        "estimated_gpu_seconds": plan.estimated_gpu_seconds,
        "leftovers": asdict(plan.leftovers),
    }


def console(stderr: bool = False) -> Console:
    """Return where tables go: as wide as the terminal, and wide enough where there is none."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False)


def show_plan(plan: Plan, targets: tuple[str, ...], not_hashed: dict[str, str]) -> None:
    """Print a plan: stale stages first, each with its reasons; fresh ones only counted.

    Args:
        plan: the plan.
        targets: what was asked for, for the command to run.
        not_hashed: the modules left out of code fingerprints, and why.
    """
    out = console()
    if plan.unfresh:
        out.print(_table(plan))
    for line in _summary(plan, targets):
        out.print(line, soft_wrap=True)
    for line in _leftover_lines(plan):
        out.print(line, style="dim", soft_wrap=True)
    if any(reason.kind == "code" for stage in plan.stages for reason in stage.reasons):
        names = ", ".join(f"{name} ({why})" for name, why in not_hashed.items())
        out.print(f"Never a reason to run, by rule: {names}", style="dim", soft_wrap=True)


def _table(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("state", "stage", "why"):
        table.add_column(column, overflow="fold")
    table.add_column("last took", justify="right")
    table.add_column("on")
    for state in STATES:
        for stage in plan.unfresh:
            if stage.state == state:
                table.add_row(*_cells(stage))
    return table


def _cells(stage: StagePlan) -> tuple[Text | str, ...]:
    return (
        Text(stage.state, style=STATE_STYLES[stage.state]),
        stage.name,
        Text("\n".join(_reason_lines(stage.reasons))),
        "-" if stage.estimated_seconds is None else duration(stage.estimated_seconds),
        "gpu" if stage.gpu else "cpu",
    )


def _reason_lines(reasons: list[Reason]) -> list[str]:
    if all(r.kind in ("missing", "upstream") for r in reasons) and _never_ran(reasons):
        return ["never ran"]
    waits = [reason.what for reason in reasons if reason.kind == "upstream"]
    lines = [_reason_line(reason) for reason in reasons if reason.kind != "upstream"]
    if len(lines) > REASONS_SHOWN:
        more = len(lines) - REASONS_SHOWN
        lines = [*lines[:REASONS_SHOWN], f"and {more} more (--json lists all)"]
    return [*lines, f"after {', '.join(waits)}"] if waits else lines


def _never_ran(reasons: list[Reason]) -> bool:
    missing = [reason for reason in reasons if reason.kind == "missing"]
    return bool(missing) and all(reason.old is None for reason in missing)


def _reason_line(reason: Reason) -> str:
    if reason.kind == "param":
        return f"{reason.what}: {_value(reason.old)} → {_value(reason.new)}"
    if reason.kind == "command":
        return f"command: {_value(reason.old)} → {_value(reason.new)}"
    if reason.kind == "missing":
        return f"{_missing(reason)}: {reason.what}"
    return f"{reason.kind} {reason.what}: {_hash(reason.old)} → {_hash(reason.new)}"


def _missing(reason: Reason) -> str:
    if reason.old is None:
        return "never made"
    if reason.new is None:
        return "deleted"
    changed = len(str(reason.new)) >= len(str(reason.old))
    return "changed on disk" if changed else str(reason.new)


def _value(value: Any) -> str:
    text = "(not set)" if value is None else str(value)
    return text if len(text) <= VALUE_WIDTH else f"{text[: VALUE_WIDTH - 1]}…"


def _hash(value: str | None) -> str:
    return "(none)" if value is None else str(value)[:HASH_WIDTH]


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


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``0.4 s``, ``81 s``, ``12 min``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _leftover_lines(plan: Plan) -> list[str]:
    found = {"records in dvc.lock": plan.leftovers.lock, "folders": plan.leftovers.data}
    return [
        f"Left over from rows that are gone: {what} {', '.join(names)}"
        for what, names in found.items()
        if names
    ]
