"""What separates a stage from its record in ``dvc.lock``: one reason for each difference.

DVC knows that something differs; here it is said what, with its old and new value, down to the one
setting in a section and the one module in a code fingerprint.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flows.forecast import Content, Forecast, content_on_disk
from flows.graph import stage_name
from tasks.contracts.params import TABLES

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


def command_differences(stage: Any, locked_command: str) -> Iterator[Reason]:
    """Compare the command with the recorded one."""
    if stage.cmd_changed:
        yield Reason("command", "cmd", locked_command, stage.cmd)


def param_differences(dependency: Any, actual: dict[str, Any]) -> Iterator[Reason]:
    """Compare tracked parameters leaf by leaf.

    Args:
        dependency: DVC's parameter dependency, with the recorded values.
        actual: the values that its file holds now, by tracked key.
    """
    recorded = dependency.hash_info.value or {}
    for key in dependency.params or sorted({*recorded, *actual}):
        if (key in recorded) == (key in actual) and recorded.get(key) == actual.get(key):
            continue
        leaves = list(_leaf_differences(key, recorded.get(key), actual.get(key)))
        yield from leaves or [Reason("param", key, recorded.get(key), actual.get(key))]


def _leaf_differences(path: str, old: Any, new: Any) -> Iterator[Reason]:
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


def file_differences(stage: Any, dependency: Any, forecast: Forecast) -> Iterator[Reason]:
    """Compare the content that a dependency will have with the recorded one."""
    path = dependency.def_path
    content = forecast.content(dependency)
    if content is None:
        yield from (Reason("upstream", name) for name in forecast.makers(stage, path))
    elif content.hash_info != dependency.hash_info:
        if path in forecast.codes:
            found = list(code_differences(stage, dependency, forecast.codes[path]))
            yield from found or [Reason("code", path, dependency.hash_info.value, content.md5)]
        else:
            yield Reason("data", path, dependency.hash_info.value, content.md5)


def code_differences(stage: Any, dependency: Any, text: str) -> Iterator[Reason]:
    """Compare a code fingerprint line by line with the recorded one.

    A changed setting is a ``param``: one that ``params.yaml`` shows stands among
    ``param_differences`` too, any other is a changed default.
    """
    old_text = _recorded_text(stage, dependency)
    if old_text is None:
        return
    old, new = _lines(old_text), _lines(text)
    for module in sorted({*old, *new} - {SETTINGS_LINE}):
        if old.get(module) != new.get(module):
            yield Reason("code", module, old.get(module), new.get(module))
    group, _, row = stage_name(stage).partition("@")
    section = f"{TABLES[group]}.{row}.{group}" if group in TABLES else group
    yield from _leaf_differences(section, *(_settings(lines) for lines in (old, new)))


def _lines(text: str) -> dict[str, str]:
    return {name: rest for name, _, rest in (line.partition(" ") for line in text.splitlines())}


def _settings(lines: dict[str, str]) -> Any:
    return json.loads(lines.get(SETTINGS_LINE, "null"))


def _recorded_text(stage: Any, dependency: Any) -> str | None:
    """Return the fingerprint that ``dvc.lock`` names, from ``data/`` or from DVC's cache."""
    if not dependency.hash_info:
        return None
    cached = stage.repo.cache.local.oid_to_path(dependency.hash_info.value)
    if content_on_disk(dependency).hash_info == dependency.hash_info:
        return Path(dependency.fs_path).read_text(encoding="utf-8")
    return Path(cached).read_text(encoding="utf-8") if Path(cached).is_file() else None


def output_differences(stage: Any) -> Iterator[Reason]:
    """Compare the outputs that lie on disk, and DVC's cache of them, with the recorded ones."""
    for out in stage.outs:
        recorded = out.hash_info.value
        found: Content = content_on_disk(out)
        if not out.hash_info or found.hash_info != out.hash_info:
            yield Reason("missing", out.def_path, recorded, found.md5)
        elif out.use_cache and out.changed_cache():
            yield Reason("missing", out.def_path, recorded, NOT_IN_CACHE)


def never_ran(stage: Any) -> Iterator[Reason]:
    """Name the outputs of a stage that ``dvc.lock`` does not hold."""
    for out in stage.outs:
        yield Reason("missing", out.def_path)
