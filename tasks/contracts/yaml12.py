"""YAML as DVC reads and writes it: version 1.2, no key twice, and no value that DVC refuses.

PyYAML alone follows YAML 1.1, where ``5e-05`` is a string, ``no`` is false and ``1:30`` is ninety;
DVC (ruamel) follows 1.2. Both must see the same values, or a stage would run with others than DVC
recorded, and a plan would find it stale for ever. libyaml parses, which is ten times as fast.

Whatever the text is, it ends in a value or in one error: not in a crash (libyaml's own code ends
the process where values are nested too deeply), nor in a value that aliases make endless.
"""

import re
from collections.abc import Callable, Hashable
from typing import Any

import yaml

MOST_NESTED = 100
MOST_VALUES = 100_000
MOST_TIMES = 10
"""So many values, or so many times those that are written, may aliases make of a text."""
LARGEST_BITS = 4096
"""Of a whole number: Python writes out none that is longer than four times as much."""
_INLINE_NESTING = re.compile(r"(?:[-?][ \t]+){20}")


class _Loader(yaml.CSafeLoader):
    """libyaml with the core schema of YAML 1.2."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):
            raise _fault("expected keys with values", node)
        seen = set()
        for key_node, _ in node.value:
            is_merge = key_node.tag == MERGE
            key = "<<" if is_merge else self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue  # refused below, with its place
            if (is_merge, key) in seen:
                raise _fault(f"the key {key!r} stands twice", key_node)
            seen.add((is_merge, key))
        return super().construct_mapping(node, deep=deep)


def _fault(problem: str, at: yaml.Node | yaml.Event) -> yaml.YAMLError:
    mark: Any = at.start_mark
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def _refused(_: _Loader, node: yaml.Node) -> Any:
    kind = str(node.tag).rpartition(":")[2]
    raise _fault(
        f"{str(node.value)[:40]!r} is a date, which DVC refuses: put it into quotes"
        if kind == "timestamp"
        else f"DVC takes no value of the kind {node.tag}",
        node,
    )


MERGE = "tag:yaml.org,2002:merge"
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: make
    for tag, make in _Loader.yaml_constructors.items()
    if tag in {f"tag:yaml.org,2002:{kind}" for kind in _KINDS}
}
_Loader.add_constructor(None, _refused)
_Loader.yaml_implicit_resolvers = {}  # those of YAML 1.1
# The patterns of ruamel.yaml.resolver for 1.2.
for _tag, _pattern, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    (
        "float",
        r"[-+]?[0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|[-+]?\.[0-9_]+([eE][-+][0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
    ("int", r"[-+]?(0b[0-1_]+|0o?[0-7_]+|[0-9_]+|0x[0-9a-fA-F_]+)", "-+0123456789"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
    (
        "timestamp",
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
        r"|[0-9]{4}-[0-9]{2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
        r"([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?",
        "0123456789",
    ),
]:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    prefixed = text.lstrip("+-")[:2] in {"0b", "0o", "0x"}
    number = int(text, 0 if prefixed else 10)
    if number.bit_length() > LARGEST_BITS:
        raise ValueError
    return number


def _told(make: Callable[[_Loader, yaml.ScalarNode], Any]) -> Callable[..., Any]:
    def made(loader: _Loader, node: yaml.ScalarNode) -> Any:
        try:
            return make(loader, node)
        except (ValueError, KeyError):
            kind = str(node.tag).rpartition(":")[2]
            raise _fault(f"{str(node.value)[:40]!r} is no {kind}", node) from None

    return made


for _tag, _make in [
    ("bool", _Loader.construct_yaml_bool),
    ("int", _whole_number),
    ("float", _Loader.construct_yaml_float),
]:
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _told(_make))


def parse_yaml(text: str) -> Any:
    """Return what a YAML text holds.

    Raises:
        yaml.YAMLError: it is no YAML; a key stands twice; a value is of a kind that DVC refuses,
            nested too deeply, or larger than aliases may make it.
    """
    if _may_be_deep(text):
        _require_shallow(text)
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        if "*" in text and "&" in text:
            _require_finite(root)
        return loader.construct_document(root)
    except RecursionError:
        raise yaml.YAMLError(f"values are nested more than {MOST_NESTED} deep") from None
    finally:
        loader.dispose()


def _may_be_deep(text: str) -> bool:
    brackets = text.count("[") + text.count("{")
    indented = " " * MOST_NESTED in text
    return brackets > MOST_NESTED or indented or _INLINE_NESTING.search(text) is not None


def _require_shallow(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_NESTED:
            raise _fault(f"values are nested more than {MOST_NESTED} deep", event)


def _require_finite(root: yaml.Node) -> None:
    """Check how much it would be with every alias written out, beside what is written."""
    sizes: dict[int, int | None] = {}  # None while a node is looked into
    written = 0

    def size_of(node: yaml.Node) -> int:
        nonlocal written
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) not in sizes:
            sizes[id(node)] = None
            pairs = isinstance(node, yaml.MappingNode)
            inner = [each for pair in node.value for each in pair] if pairs else node.value
            written += 1 + len(inner)
            sizes[id(node)] = 1 + sum(map(size_of, inner))
        size = sizes[id(node)]
        if size is None:
            raise _fault("an alias stands inside of what it is an alias of", node)
        return size

    size = size_of(root)
    if size > max(MOST_VALUES, MOST_TIMES * written):
        raise _fault(f"its aliases make more than {MOST_VALUES:,} values of it", root)
