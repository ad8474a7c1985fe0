"""The whole of ``params.yaml``, checked before anything runs.

Each stage checks its own section (``tasks/<stage>/settings.py``); here are the tables around them:
row names, references from one table to another, and that every row has all its sections.
"""

import os
import re
from typing import Any

from tasks.contracts.params import STAGES, TABLES
from tasks.errors import BadSettings, one_of
from tasks.fingerprint.rows import ROWS, stage_settings

ROW_NAME = re.compile(r"[a-z0-9-]+")

# The keys of a row that name a row of another table.
REFERENCES: dict[str, dict[str, str]] = {
    "corpora": {},
    "backbones": {"corpus": "corpora"},
    "models": {"backbone": "backbones", "corpus": "corpora"},
}


def check_params(params: dict[str, Any]) -> None:
    """Check every row of every table; those of other stages (``ROWS``) are not ours to check.

    Raises:
        BadSettings: the first fault found, with its key path, the value and what is allowed.
    """
    if ROWS in os.environ:
        return
    _check_keys(params, ["seed", *REFERENCES], "")
    seed = params["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise BadSettings(f"params.yaml: seed: expected a whole number from 0, found {seed!r}")
    for table in REFERENCES:
        _check_table(params, table)
    for table in REFERENCES:
        for row in params[table]:
            _check_row(params, table, row)


def _check_table(params: dict[str, Any], table: str) -> None:
    rows = params[table]
    if not isinstance(rows, dict):
        raise BadSettings(
            f"params.yaml: {table}: expected rows ({{}} for none), found {rows!r:.60}"
        )
    for row in rows:
        if not isinstance(row, str) or not ROW_NAME.fullmatch(row):
            raise BadSettings(
                f"params.yaml: {table}: the row name {row!r} is not of a-z, 0-9 and '-' alone"
            )


def _check_row(params: dict[str, Any], table: str, row: str) -> None:
    values = params[table][row]
    if not isinstance(values, dict):
        raise BadSettings(f"params.yaml: {table}.{row}: expected keys, found {values!r:.60}")
    stages = [stage for stage in STAGES if TABLES[stage] == table]
    _check_keys(values, [*REFERENCES[table], *stages], f"{table}.{row}.")
    for key, other in REFERENCES[table].items():
        if not isinstance(values[key], str) or values[key] not in params[other]:
            raise BadSettings(
                f"params.yaml: {table}.{row}.{key}: no row {values[key]!r} in {other}; "
                f"{one_of(str(values[key]), params[other])}"
            )
    for stage in stages:
        settings = stage_settings(params, stage, row)
        if stage == "pretrain" and settings.init is not None and row in params["corpora"]:
            raise BadSettings(
                f"params.yaml: {table}.{row}: a corpus has the same name, and the pins of both "
                f"would be data/sources/{row}/pin.json: rename one"
            )


def _check_keys(values: dict[str, Any], expected: list[str], where: str) -> None:
    for key in values:
        if key not in expected:
            raise BadSettings(
                f"params.yaml: {where}{key}: unknown key; {one_of(str(key), expected)}"
            )
    for key in expected:
        if key not in values:
            raise BadSettings(
                f"params.yaml: {where}{key} is missing; add it ({{}} takes all defaults)"
            )
