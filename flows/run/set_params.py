"""Changing keys of ``params.yaml`` from a command line or a form, comments and layout kept.

Only the text of the value itself is replaced, so that the edit is the one a person would have made.
The new file is checked against the schema before it takes the old one's place.
"""

import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import yaml

from flows.run.run_lock import no_active_run
from tasks.contracts import files, paths
from tasks.contracts.params import check_params, read_params
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import BadSettings

WORD = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
NO_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
UNCHECKED = paths.STATE / "params.yaml"


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Return the values of ``key=value`` texts, each value read as YAML.

    Raises:
        BadSettings: one has no ``=``, or its value is no YAML.
    """
    values = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise BadSettings(
                f"--set {assignment}: expected key=value, "
                "for example models.reuters-topics.finetune.epochs=4"
            )
        try:
            values[key.strip()] = parse_yaml(text)
        except yaml.YAMLError as error:
            raise BadSettings(
                f"--set {key}: the value {text!r} is not YAML: {' '.join(str(error).split())}"
            ) from None
    return values


def set_values(values: Mapping[str, Any]) -> None:
    """Change keys of ``params.yaml``; all of them, or none where one is not allowed.

    Args:
        values: new values by key path, for example ``models.m.finetune.epochs``.

    Raises:
        BadSettings: a key or value is not what the schema allows; the file is as it was.
        StageFailed: a run is active in this workspace, and something would change.
    """
    if not values or _are_set(values):
        return
    with no_active_run():
        expected = deepcopy(read_params())
        text = paths.PARAMS.read_text(encoding="utf-8")
        for key_path, value in values.items():
            text = _with_value(text, key_path.split("."), value)
            _put(expected, key_path.split("."), value)
        _check(text, expected)
        files.write_text(paths.PARAMS, text)


def _are_set(values: Mapping[str, Any]) -> bool:
    """Tell whether all values stand there already, as where a run of a deployment starts again."""
    params = read_params()
    for key_path, value in values.items():
        found: Any = params
        for key in key_path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        # By their text: 1 and true are equal in Python.
        if found is None or flow_text(found) != flow_text(value):
            return False
    return True


def _check(text: str, expected: dict[str, Any]) -> None:
    files.write_text(UNCHECKED, text)
    try:
        edited = read_params(UNCHECKED)
    finally:
        UNCHECKED.unlink()
    if edited != expected:
        raise BadSettings(
            f"--set: {paths.PARAMS} is laid out in a way that cannot be edited here without "
            "changing more than was asked for: edit it by hand"
        )
    check_params(edited)


def _put(params: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        params = params.setdefault(key, {})
    params[keys[-1]] = value


def _with_value(text: str, keys: list[str], value: Any) -> str:
    """Return the text with one value replaced, or added to the innermost mapping there is."""
    # Pure Python's marks count characters.
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for depth, key in enumerate(keys):
        if not isinstance(node, yaml.MappingNode):
            raise BadSettings(
                f"--set {'.'.join(keys)}: {'.'.join(keys[:depth])} holds a value, not keys; "
                "set that one"
            )
        values = [item for name, item in node.value if name.value == key]
        if not values:
            for missing in reversed(keys[depth + 1 :]):
                value = {missing: value}
            return _added(text, node, key, value)
        node = values[0]
    start, end = node.start_mark.index, _end(node, text)
    space = " " if text[start - 1] == ":" else ""
    return text[:start] + space + flow_text(value) + text[end:]


def _added(text: str, mapping: yaml.MappingNode, key: str, value: Any) -> str:
    start = mapping.start_mark.index
    entry = f"{flow_text(key)}: {flow_text(value)}"
    if mapping.flow_style:
        comma = ", " if mapping.value else ""
        return text[: start + 1] + entry + comma + text[start + 1 :]
    return text[:start] + entry + "\n" + " " * mapping.start_mark.column + text[start:]


def _end(node: yaml.Node, text: str) -> int:
    """Return where a node's own text ends; a block's mark lies behind the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last, text)
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip())


def flow_text(value: Any) -> str:
    """Return a value as YAML that may stand in any place: JSON, with plain words unquoted."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{flow_text(key)}: {flow_text(of)}' for key, of in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow_text, value))}]"
    if isinstance(value, str) and WORD.fullmatch(value) and value.lower() not in NO_WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
