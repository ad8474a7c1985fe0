"""Reasons in words: one line each."""

from typing import Any

from flows.plan.differences import Reason

REASONS_SHOWN = 6
DEFINITIONS_SHOWN = 4
VALUE_WIDTH = 40
HASH_WIDTH = 8


def reason_lines(reasons: list[Reason]) -> list[str]:
    """Return all reasons of a stage; of many the first, and how many more there are."""
    if all(r.kind in ("missing", "upstream") for r in reasons) and _never_ran(reasons):
        return ["never ran"]
    waits = [reason.what for reason in reasons if reason.kind == "upstream"]
    lines = [reason_line(reason) for reason in reasons if reason.kind != "upstream"]
    if len(lines) > REASONS_SHOWN:
        more = len(lines) - REASONS_SHOWN
        lines = [*lines[:REASONS_SHOWN], f"and {more} more (--json lists all)"]
    return [*lines, f"after {', '.join(waits)}"] if waits else lines


def _never_ran(reasons: list[Reason]) -> bool:
    missing = [reason for reason in reasons if reason.kind == "missing"]
    return bool(missing) and all(reason.old is None for reason in missing)


def reason_line(reason: Reason) -> str:
    """Return one reason: what differs, its old and its new value."""
    if reason.kind == "param":
        default = " (default)" if reason.default else ""
        return f"{reason.what}: {_value(reason.old)} → {_value(reason.new)}{default}"
    if reason.kind == "command":
        return f"command: {_value(reason.old)} → {_value(reason.new)}"
    if reason.kind == "missing":
        return f"{_missing(reason)}: {reason.what}"
    return f"{reason.kind} {reason.what}: {_hash(reason.old)} → {_hash(reason.new)}{_parts(reason)}"


def _parts(reason: Reason) -> str:
    names = ", ".join(reason.definitions[:DEFINITIONS_SHOWN])
    more = len(reason.definitions) - DEFINITIONS_SHOWN
    return f" ({names}{f' and {more} more' if more > 0 else ''})" if names else ""


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
