"""What separates a stage from its record in ``dvc.lock``: one reason for each difference.

DVC knows that something differs; here it is said what, with its old and new value, down to the one
setting in a section, the one module in a code fingerprint and the function in it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from flows.dvc.contents import content_on_disk, is_cached
from flows.dvc.declared import Record, Stage
from flows.plan.forecast import Forecast
from tasks.contracts.params import TABLES
from tasks.fingerprint.definitions import changed_definitions

Kind = Literal["param", "data", "code", "command", "missing", "upstream"]
SETTINGS_LINE = "settings"
NOT_IN_CACHE = "not in DVC's cache"


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


def command_differences(stage: Stage, record: Record) -> Iterator[Reason]:
    """Compare the command with the recorded one."""
    if stage.cmd != record.command:
        yield Reason("command", "cmd", record.command, stage.cmd)


def param_differences(
    keys: list[str], recorded: dict[str, Any], actual: dict[str, Any]
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
        leaves = list(leaf_differences(key, recorded.get(key), actual.get(key)))
        yield from leaves or [Reason("param", key, recorded.get(key), actual.get(key))]


def leaf_differences(path: str, old: Any, new: Any) -> Iterator[Reason]:
    """Compare two values and all that is in them."""
    before, after = _leaves(path, old), _leaves(path, new)
    for leaf in {**before, **after}:
        if before.get(leaf) != after.get(leaf) or (leaf in before) != (leaf in after):
            yield Reason("param", leaf, before.get(leaf), after.get(leaf))


def _leaves(path: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key in value for k, v in _leaves(f"{path}.{key}", value[key]).items()}
    if isinstance(value, list):
        return _leaves(path, {str(place): item for place, item in enumerate(value)})
    return {} if value is None else {path: value}


def file_differences(
    repo: Any, stage: Stage, record: Record, path: str, forecast: Forecast
) -> Iterator[Reason]:
    """Compare the content that a dependency will have with the recorded one."""
    content, old = forecast.content(path), record.dependencies.get(path)
    if content is None:
        yield from (Reason("upstream", name) for name in forecast.makers(path))
    elif content.md5 != old:
        if path in forecast.codes:
            found = list(code_differences(repo, stage.name, path, old, forecast.codes[path]))
            yield from found or [Reason("code", path, old, content.md5)]
        else:
            yield Reason("data", path, old, content.md5)


def code_differences(
    repo: Any, name: str, path: str, old_md5: str | None, text: str
) -> Iterator[Reason]:
    """Compare a code fingerprint line by line with the recorded one.

    A changed setting is a ``param``: one that ``params.yaml`` shows stands among
    ``param_differences`` too and before, any other is a changed default.
    """
    old_text = recorded_code(repo, path, old_md5)
    if old_text is None:
        return
    old, new = _lines(old_text), _lines(text)
    for module in sorted({*old, *new} - {SETTINGS_LINE}):
        before, after = old.get(module), new.get(module)
        if before != after:
            yield Reason("code", module, before, after, _definitions(module, before, after))
    group, _, row = name.partition("@")
    section = f"{TABLES[group]}.{row}.{group}" if group in TABLES else group
    for reason in leaf_differences(section, _settings(old), _settings(new)):
        yield replace(reason, default=True)


def _definitions(module: str, old: str | None, new: str | None) -> tuple[str, ...]:
    return changed_definitions(module, old, new, Path.cwd())


def _lines(text: str) -> dict[str, str]:
    return {name: rest for name, _, rest in (line.partition(" ") for line in text.splitlines())}


def _settings(lines: dict[str, str]) -> Any:
    return json.loads(lines.get(SETTINGS_LINE, "null"))


def recorded_code(repo: Any, path: str, md5: str | None) -> str | None:
    """Return the fingerprint that ``dvc.lock`` names, from ``data/`` or from DVC's cache."""
    if not md5:
        return None
    if content_on_disk(repo, path).md5 == md5:
        return Path(path).read_text(encoding="utf-8")
    cached = Path(repo.cache.local.oid_to_path(md5))
    return cached.read_text(encoding="utf-8") if cached.is_file() else None


def output_differences(
    repo: Any, stage: Stage, record: Record, forecast: Forecast
) -> Iterator[Reason]:
    """Compare the outputs that lie on disk, and DVC's cache of them, with the recorded ones."""
    for out in stage.outputs:
        recorded, found = record.outputs.get(out.path), forecast.on_disk(out.path)
        if not recorded or found.md5 != recorded:
            yield Reason("missing", out.path, recorded, found.md5)
        elif out.cached and not is_cached(repo, recorded):
            yield Reason("missing", out.path, recorded, NOT_IN_CACHE)


def never_ran(stage: Stage) -> Iterator[Reason]:
    """Name the outputs of a stage that ``dvc.lock`` does not hold."""
    for out in stage.outputs:
        yield Reason("missing", out.path)
