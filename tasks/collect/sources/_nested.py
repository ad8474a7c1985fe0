"""Records inside one JSON or YAML value: objects, or lists such as the turns of a conversation."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from tasks.collect.sources._columns import (
    Row,
    TableSettings,
    row_of,
)
from tasks.errors import BadInput
from tasks.progress import say
from tasks.remote.members import Member

MAXIMUM_BYTES = 256 * 2**20
"""Of a file, which is held in memory as a whole."""
MOST_NESTED = 100
EACH = "*"
"""The step of a path that stands for every item of a list, or every value of an object."""


def json_records(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield the records of a JSON file, where the setting ``records`` says that they are.

    Raises:
        BadInput: the file is no JSON or too large, or holds something else there.
    """
    yield from _rows(member, settings, _json)


def yaml_records(member: Member, settings: TableSettings) -> Iterator[Row]:
    """Yield the records of a YAML file, of which every value is a text, as those of csv are.

    Raises:
        BadInput: the file is no YAML, has aliases, or is too large, or holds something else there.
    """
    yield from _rows(member, settings, _yaml)


def _rows(
    member: Member, settings: TableSettings, parse: Callable[[str, str], Any]
) -> Iterator[Row]:
    path = (settings.records or EACH).split(".")
    num_short = row = 0
    records = _found(parse(_text(member), member.name), path, member.name)
    for row, found in enumerate(records, start=1):
        where = f"{member.name}: record {row}"
        is_one_turn = isinstance(found, str) and settings.content.isdecimal()
        record = values = [found] if is_one_turn else found
        if isinstance(record, list):
            values = {str(number): value for number, value in enumerate(record)}
            if not _named(settings) <= values.keys():
                num_short += 1
                continue
        if not isinstance(values, dict):
            raise BadInput(
                f"{where} (setting records: {'.'.join(path)}): expected an object or a list, found "
                f"{record!r:.40}"
            )
        yield row_of(settings, values, where)
    if num_short:
        say(f"{member.name}: {num_short:,} of {row:,} lists are too short, and left out")


def _named(settings: TableSettings) -> set[str]:
    """Return the columns that the settings name."""
    label = {settings.label} if settings.label else set()
    return {settings.content, *label, *(column for _, column in settings.other_columns())}


def _text(member: Member) -> str:
    with member.open() as file:
        content = file.read(MAXIMUM_BYTES + 1)
    if len(content) > MAXIMUM_BYTES:
        raise BadInput(
            f"{member.name} has more than {MAXIMUM_BYTES:,} bytes: split it, or write one JSON "
            "object a line (.jsonl)"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{member.name}: byte {error.start + 1} is not UTF-8: save the file as UTF-8"
        ) from None


def _json(text: str, name: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON: {error}") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands twice in an object: leave one of them")
    return values


class _Texts(yaml.CBaseLoader):
    """libyaml without types: lists, mappings and texts."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [str(key.value) for key, _ in node.value]
        if len({*keys}) < len(keys):
            problem = "a key stands twice: leave one of them"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _yaml(text: str, name: str) -> Any:
    try:
        depth = 0
        # First without values: libyaml's own code ends the process where it is nested too deeply.
        for event in yaml.parse(text, Loader=yaml.CBaseLoader):
            starts = isinstance(event, yaml.CollectionStartEvent)
            depth += starts - isinstance(event, yaml.CollectionEndEvent)
            if depth > MOST_NESTED or isinstance(event, yaml.AliasEvent):
                what = "aliases" if depth <= MOST_NESTED else f"values over {MOST_NESTED} deep"
                raise BadInput(f"{name} has {what}, which are not read: write them out")
        return yaml.load(text, Loader=_Texts)  # noqa: S506 - it makes texts alone
    except yaml.YAMLError as error:
        raise BadInput(f"{name} is not YAML: {' '.join(str(error).split())}") from None


def _found(value: Any, path: list[str], where: str, depth: int = 0) -> Iterator[Any]:
    """Yield what lies at a path below a value."""
    if depth == len(path):
        yield value
        return
    step = path[depth]
    inner: list[Any]
    if step == EACH and isinstance(value, (list, dict)):
        inner = list(value.values()) if isinstance(value, dict) else value
    elif isinstance(value, dict) and step in value:
        inner = [value[step]]
    else:
        kind = f"keys {', '.join(map(str, value))!s:.80}" if isinstance(value, dict) else "none"
        raise BadInput(
            f"{where}: nothing at {'.'.join(path[: depth + 1])!r} (setting records), found {kind}: "
            "name the keys down to the records, with * for each item: data.*"
        )
    for one in inner:
        yield from _found(one, path, where, depth + 1)
