"""Reading ``params.yaml`` as DVC does: YAML 1.2, and no key twice.

PyYAML alone follows YAML 1.1, where ``1e-3`` is a string and ``no`` is false; DVC (ruamel) follows
1.2. Both must see the same values, or a stage would run with others than DVC recorded.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts.paths import PARAMS
from tasks.errors import BadSettings, one_of

# Which table of params.yaml a stage's rows stand in.
TABLES = {
    "collect": "corpora",
    "clean": "corpora",
    "split": "corpora",
    "validate": "corpora",
    "pretrain": "backbones",
    "finetune": "models",
    "evaluate": "models",
    "register": "models",
}
STAGES = tuple(TABLES)


class _Loader(yaml.CSafeLoader):
    """libyaml with the core schema of YAML 1.2."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {}  # those of YAML 1.1
for _tag, _pattern, _first in [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0b[0-1_]+|0o?[0-7_]+|[0-9_]+|0x[0-9a-fA-F_]+)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+0123456789."),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
]:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node)).replace("_", "")
    prefixed = text.lstrip("+-")[:2] in {"0b", "0o", "0x"}
    return int(text, 0 if prefixed else 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_params(path: Path = PARAMS) -> dict[str, Any]:
    """Return the content of ``params.yaml``.

    Raises:
        BadSettings: there is no such file, or it is not a YAML mapping.
    """
    try:
        params = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except FileNotFoundError:
        raise BadSettings(f"{path} is missing: run from the repository's root") from None
    except UnicodeDecodeError as error:
        raise BadSettings(f"{path}: byte {error.start} is not UTF-8: save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise BadSettings(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(params, dict):
        raise BadSettings(
            f"{path}: expected the keys seed, corpora, backbones and models, found {params!r:.60}"
        )
    return params


def row_of(params: dict[str, Any], table: str, row: str) -> dict[str, Any]:
    """Return one row of a table.

    Raises:
        BadSettings: the table has no such row.
    """
    rows = params.get(table)
    if not isinstance(rows, dict):
        raise BadSettings(f"{PARAMS}: {table}: expected a mapping of rows, found {rows!r:.60}")
    if row not in rows:
        raise BadSettings(f"{PARAMS}: {table} has no row {row!r}; {one_of(row, map(str, rows))}")
    if not isinstance(rows[row], dict):
        raise BadSettings(f"{PARAMS}: {table}.{row}: expected a mapping, found {rows[row]!r:.60}")
    return rows[row]
