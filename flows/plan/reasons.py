"""What separates a stage from its record in ``dvc.lock``: one reason for each difference.

DVC knows that something differs; here it is said what, with its old and new value, down to the one
setting in a section, the one module in a code fingerprint and the function in it; and, at the end,
in words.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from flows.dvc.contents import is_cached, recorded_text
from flows.dvc.graph import Stage
from flows.plan.forecast import Forecast
from tasks.contracts.params import TABLES
from tasks.fingerprint.definitions import changed_definitions
from tasks.fingerprint.libraries import LIBRARY_LINE
from tasks.fingerprint.rows import ROW_LINE, SETTINGS_LINE
from tasks.stage_process.identity import wrongly_recorded

Kind = Literal["param", "data", "code", "command", "missing", "upstream", "library"]
Verdict = Literal["same", "different", "none"]
"""What a probe says of changed code: same bytes, other bytes, or that it cannot tell."""
NOT_IN_CACHE = "not in DVC's cache"
ALWAYS_CHANGED = "always_changed"
REASONS_SHOWN = 6
DEFINITIONS_SHOWN = 4
VALUE_WIDTH = 40
HASH_WIDTH = 8


@dataclass(frozen=True)
class Reason:
    """Why a stage is not fresh."""

    kind: Kind
    what: str
    old: Any = None
    new: Any = None
    definitions: tuple[str, ...] = ()
    """Of changed code, the functions and classes that differ, where that is known."""
    default: bool = False
    """Whether it is a value that ``params.yaml`` leaves to the code."""
    known: bool = False
    """Of such a value, whether the setting is in both fingerprints, if only as null or a list."""
    misrecorded: bool = False
    """Whether ``old`` is what the result was made with, and ``new`` what ``dvc.lock`` says."""
    probe: Verdict | None = None
    """Of changed code, what a probe says of its stage, where one was asked for."""


def reasons_of(
    stage: Stage, params: Mapping[str, Mapping[str, Any]], forecast: Forecast
) -> list[Reason]:
    """Return why a stage is not fresh; nothing if it is.

    Args:
        stage: a stage, of which all that lies upstream has been decided.
        params: the values that its parameter files hold now, by file and tracked key.
        forecast: what its dependencies will hold, and its outputs do.
    """
    reasons: dict[tuple[str, str], Reason] = {}
    for reason in _reasons(stage, params, forecast):
        # A changed parameter is also a changed resolved setting: it is told once.
        reasons.setdefault((reason.kind, reason.what), reason)
    return list(reasons.values())


def _reasons(
    stage: Stage, params: Mapping[str, Mapping[str, Any]], forecast: Forecast
) -> Iterator[Reason]:
    record = stage.record
    if record is None:
        # It has no older values to compare with, but it may have to wait.
        yield from (Reason("missing", out.path) for out in stage.outputs)
        for path in stage.dependencies:
            content = forecast.content(path)
            if content is None:
                yield from (Reason("upstream", name) for name in forecast.makers(path))
            elif content.md5 is None:
                yield Reason("data", path)
        return
    if stage.always_changed:
        yield Reason("command", ALWAYS_CHANGED)
    if stage.command != record.command:
        yield Reason("command", "cmd", record.command, stage.command)
    for file, keys in stage.params.items():
        yield from param_differences(keys, record.params.get(file) or {}, params[file])
    for path in stage.dependencies:
        yield from _file_differences(stage.name, path, record.dependencies.get(path), forecast)
    for out in stage.outputs:
        recorded, present = record.outputs.get(out.path), forecast.on_disk(out.path).md5
        if not recorded or present != recorded:
            yield Reason("missing", out.path, recorded, present)
        elif out.cached and not is_cached(forecast.repo, recorded):
            yield Reason("missing", out.path, recorded, NOT_IN_CACHE)


def misrecorded(name: str, entry: Mapping[str, Any], run_cache: Path) -> list[Reason]:
    """Return the inputs that ``dvc.lock`` has otherwise than a result was made with.

    Args:
        name: the stage.
        entry: what ``dvc.lock`` has of it.
        run_cache: DVC's, which has a folder for each stage hash that was ever recorded.
    """
    return [
        Reason(
            "param" if fault.kind == "param" else "data",
            fault.what,
            fault.made_with,
            fault.recorded,
            misrecorded=True,
        )
        for fault in wrongly_recorded(name, entry, run_cache)
    ]


def param_differences(
    keys: list[str], recorded: Mapping[str, Any], actual: Mapping[str, Any]
) -> Iterator[Reason]:
    """Compare the tracked parameters of one file leaf by leaf.

    Args:
        keys: the tracked keys; none means the whole file.
        recorded: the values in ``dvc.lock``, by tracked key.
        actual: the values that the file holds now, by tracked key.
    """
    for key in keys or sorted({*recorded, *actual}):
        if (key in recorded) == (key in actual) and recorded.get(key) == actual.get(key):
            continue
        leaves = list(_leaf_differences(key, recorded.get(key), actual.get(key)))
        yield from leaves or [Reason("param", key, recorded.get(key), actual.get(key))]


def _leaf_differences(path: str, old: Any, new: Any) -> Iterator[Reason]:
    """Compare two values and all that is in them."""
    before, after = _leaves(path, old), _leaves(path, new)
    for leaf in {**before, **after}:
        if before.get(leaf) != after.get(leaf) or (leaf in before) != (leaf in after):
            yield Reason("param", leaf, before.get(leaf), after.get(leaf))


def _leaves(path: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key in value for k, v in _leaves(f"{path}.{key}", value[key]).items()}
    if isinstance(value, list):
        return _leaves(path, {str(index): item for index, item in enumerate(value)})
    return {} if value is None else {path: value}


def _file_differences(
    name: str, path: str, old: str | None, forecast: Forecast
) -> Iterator[Reason]:
    """Compare the content that a dependency will have with the recorded one."""
    content = forecast.content(path)
    if content is None:
        yield from (Reason("upstream", maker) for maker in forecast.makers(path))
    elif content.md5 != old and path in forecast.codes:
        old_text = recorded_text(forecast.repo, path, old)
        if not old_text:
            yield Reason("code", path, old, content.md5)
            return
        reasons = list(_code_differences(name, old_text, forecast.codes[path]))
        # Settings that differ in no value: one that is new is null.
        yield from reasons or [Reason("code", SETTINGS_LINE, old, content.md5)]
    elif content.md5 != old:
        yield Reason("data", path, old, content.md5)


def _code_differences(name: str, old_text: str, text: str) -> Iterator[Reason]:
    """Compare a code fingerprint line by line with the recorded one.

    A changed setting is a ``param``: one that ``params.yaml`` shows stands among
    ``param_differences`` too and before, any other is a changed default.
    """
    old, new = _lines(old_text), _lines(text)
    if ROW_LINE in old:
        yield from _row_differences(
            *(json.loads(lines.get(ROW_LINE, "{}")) for lines in (old, new))
        )
    for module in sorted({*old, *new} - {SETTINGS_LINE, ROW_LINE}):
        before, after = old.get(module), new.get(module)
        if before != after and module.startswith(LIBRARY_LINE):
            yield Reason("library", module.removeprefix(LIBRARY_LINE), before, after)
        elif before != after:
            definitions = changed_definitions(module, before, after, Path.cwd())
            yield Reason("code", module, before, after, definitions)
    group, _, row = name.partition("@")
    section = f"{TABLES[group]}.{row}.{group}" if group in TABLES else group
    settings = [json.loads(lines.get(SETTINGS_LINE, "null")) for lines in (old, new)]
    for reason in _leaf_differences(section, *settings):
        keys = reason.what.removeprefix(f"{section}.").split(".")
        yield replace(reason, default=True, known=all(_has(keys, of) for of in settings))


def _row_differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Reason]:
    """Compare what a stage started from with what is tracked now.

    Mostly ``param_differences`` has told it before. If not, it was edited in the last second of a
    ``dvc repro``: DVC has recorded the new value for a result that was made with the old one.
    """
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield Reason("param", key, old.get(key), new.get(key))


def _has(keys: list[str], settings: Any) -> bool:
    """Tell whether settings name a key; what is no section has all that another makes of it."""
    for key in keys:
        if not isinstance(settings, dict):
            break
        if key not in settings:
            return False
        settings = settings[key]
    return True


def _lines(text: str) -> dict[str, str]:
    return {name: rest for name, _, rest in (line.partition(" ") for line in text.splitlines())}


def reason_lines(reasons: list[Reason]) -> list[str]:
    """Return all reasons of a stage; of many the first, and how many more there are."""
    missing = [reason for reason in reasons if reason.kind == "missing"]
    never_made = missing and all(reason.old is None for reason in missing)
    if never_made and all(reason.kind in ("missing", "upstream") for reason in reasons):
        return ["never ran"]
    waits = [reason.what for reason in reasons if reason.kind == "upstream"]
    lines = [reason_line(reason) for reason in reasons if reason.kind != "upstream"]
    if len(lines) > REASONS_SHOWN:
        more = len(lines) - REASONS_SHOWN
        lines = [*lines[:REASONS_SHOWN], f"and {more} more (--json lists all)"]
    return [*lines, f"after {', '.join(waits)}"] if waits else lines


def reason_line(reason: Reason) -> str:
    """Return one reason: what differs, its old and its new value."""
    if reason.kind == "param":
        default = " (default)" if reason.default else ""
        return f"{reason.what}: {_value(reason.old)} → {_value(reason.new)}{default}"
    if reason.what == ALWAYS_CHANGED:
        return "runs every time (always_changed in dvc.yaml)"
    if reason.kind == "command":
        return f"command: {_value(reason.old)} → {_value(reason.new)}"
    if reason.kind == "library":
        return f"library {reason.what}: {_value(reason.old)} → {_value(reason.new)}"
    if reason.kind == "missing":
        return f"{_missing(reason)}: {reason.what}"
    line = f"{reason.kind} {reason.what}: {_hash(reason.old)} → {_hash(reason.new)}"
    if reason.misrecorded:
        line += " (edited in the stage's last second)"
    names = ", ".join(reason.definitions[:DEFINITIONS_SHOWN])
    more = len(reason.definitions) - DEFINITIONS_SHOWN
    return f"{line} ({names}{f' and {more} more' if more > 0 else ''})" if names else line


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
