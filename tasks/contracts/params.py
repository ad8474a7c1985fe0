"""Reading ``params.yaml``, with the values that DVC sees."""

from pathlib import Path
from typing import Any

import yaml

from tasks.contracts.paths import PARAMS
from tasks.contracts.yaml12 import parse_yaml
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


def read_params(path: Path = PARAMS) -> dict[str, Any]:
    """Return the content of ``params.yaml``.

    Raises:
        BadSettings: there is no such file, or it is not a YAML mapping.
    """
    try:
        params = parse_yaml(path.read_text(encoding="utf-8"))
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
