"""``params.yaml``: read with the values that DVC sees, and checked before anything runs.

Each stage checks its own section (``tasks/<stage>/settings.py``); here are the tables around them:
row names, references from one table to another, and that every row has all its sections.
"""

import importlib
import os
import re
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from tasks.contracts.paths import PARAMS, stage_output
from tasks.contracts.settings import Settings
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import BadSettings, one_of
from tasks.machine.libraries import public_version, versions_now
from tasks.machine.memory import LEAST_MIB, MEMORY_VARIABLE
from tasks.plain_text import without_credentials

# Which table of params.yaml a stage's rows stand in.
TABLES = {
    "collect": "corpora",
    "clean": "corpora",
    "split": "corpora",
    "validate": "corpora",
    "pretrain": "backbones",
    "adapt": "adapted",
    "distill": "students",
    "finetune": "models",
    "evaluate": "models",
    "register": "models",
}
STAGES = tuple(TABLES)
LONGEST_ROW_NAME = 100
"""Of it names of files are made, with a stage, a hash and a suffix; a file system takes 255."""
ROW_NAME = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{LONGEST_ROW_NAME - 1}}}")

# The keys of a row that name a row, and the tables that it may stand in.
REFERENCES: dict[str, dict[str, tuple[str, ...]]] = {
    "corpora": {},
    "backbones": {"corpus": ("corpora",)},
    "adapted": {"backbone": ("backbones", "adapted"), "corpus": ("corpora",)},
    "students": {
        "teacher": ("models",),
        "backbone": ("backbones", "adapted"),
        "corpus": ("corpora",),
    },
    "models": {"backbone": ("backbones", "adapted", "students"), "corpus": ("corpora",)},
}
ADAPTED = "adapted"
"""A table that a ``params.yaml`` may lack: then no backbone goes on from another's."""
STUDENTS = "students"
"""Another one: then no model learns from another one's answers."""

LIBRARIES = "libraries"
"""The optional key, of the whole file or of a row, with packages whose version is a reason."""
THREADS = "threads"
"""The optional key with the number of threads that torch computes with; it changes the weights."""
THREADS_VARIABLE = "DOWNSTREAM_THREADS"
"""Tells a process that computes for a stage, and those that it starts, what ``threads`` is."""
THREADED = ("pretrain", "adapt", "finetune", "evaluate")
"""The stages whose results it may change."""
MEMORY = "memory"
"""The optional key with the MiB that a data stage may take; it changes no byte, and no stage."""
RESTARTS = "restarts"
"""The optional key with how often the ranks of a training start again; it changes no byte."""
RESTARTS_VARIABLE = "DOWNSTREAM_RESTARTS"
"""Tells a process that trains what ``restarts`` is."""
VARIABLES = {THREADS: THREADS_VARIABLE, MEMORY: MEMORY_VARIABLE, RESTARTS: RESTARTS_VARIABLE}
"""Which variable tells a process what a key of the whole file is."""
ENGINE = "engine"
"""The optional key that says where records are cleaned; it changes no byte, and no stage."""
Engine = Literal["processes", "ray"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
# What dvc.yaml tracks of a row beside the stage's own section.
TRACKED: dict[str, tuple[str, ...]] = {
    "split": ("seed",),
    "pretrain": ("seed", "corpus"),
    "adapt": ("seed", "backbone", "corpus"),
    "distill": ("teacher", "backbone", "corpus"),
    "finetune": ("seed", "backbone", "corpus"),
    "evaluate": ("seed", "corpus"),
    "register": ("corpus",),
}
ON_CODE_CHANGE = "on_code_change"
"""The key of a row that says what a changed code makes of its results; no stage depends on it."""
CODE_CHANGES = ("rerun", "probe")
"""Its values, the default first."""
DISTILLED = (None, "tagging")
"""The heads whose answers a student can learn; None is classification."""
PROBED_TABLES = ("backbones", "adapted", "models")
ON_CHANGED_PINS = "on_changed_pins"
"""The key of a model that says what its policy makes of pins that changed since the champion."""
CHANGED_PINS = ("ask", "promote")
"""Its values, the default first."""

ROWS = "DOWNSTREAM_ROWS"
"""Names a module with ``fingerprints(params)`` and ``stage_settings(params, stage, row)``.

It is asked in place of this one in a workspace whose stages are not those of ``tasks`` (a test's or
a benchmark's), in every process; its ``params.yaml`` has no schema of ours.
"""


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
        fault = " ".join(str(error).split()).replace('in "<unicode string>", ', "in ")
        raise BadSettings(f"{path} is not YAML: {fault}") from None
    if not isinstance(params, dict):
        raise BadSettings(
            f"{path}: expected the keys seed, corpora, backbones and models, found {params!r:.60}"
        )
    return params


def rows_of(params: dict[str, Any], table: str) -> dict[str, Any]:
    """Return the rows of a table by name; none where there is no such table.

    Raises:
        BadSettings: it holds something else.
    """
    rows = params.get(table)
    if rows is not None and not isinstance(rows, dict):
        raise BadSettings(f"{PARAMS}: {table}: expected a mapping of rows, found {rows!r:.60}")
    return {str(name): row for name, row in (rows or {}).items()}


def row_of(params: dict[str, Any], table: str, row: str) -> dict[str, Any]:
    """Return one row of a table.

    Args:
        params: the content of ``params.yaml``.
        table: a key of ``REFERENCES``.
        row: its name.

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


def chain_of(params: dict[str, Any], backbone: str) -> list[tuple[str, str]]:
    """Return the stages that a backbone is made by: its own, then those that it goes on from.

    Args:
        params: the content of ``params.yaml``.
        backbone: a row of ``backbones``, ``adapted`` or ``students``.

    Returns:
        Each as stage and row, a ``pretrain`` last.

    Raises:
        BadSettings: rows of ``adapted`` go on from each other in a circle.
    """
    chain: list[tuple[str, str]] = []
    row, adapted = backbone, rows_of(params, ADAPTED)
    if row in rows_of(params, STUDENTS):
        chain.append(("distill", row))
        row = row_of(params, STUDENTS, row)["backbone"]
    while row in adapted:
        if ("adapt", row) in chain:
            circle = " -> ".join([*(name for _, name in chain), row])
            raise BadSettings(
                f"{PARAMS}: {ADAPTED}: rows go on from each other in a circle, {circle}: let one "
                "of them name a row of backbones"
            )
        chain.append(("adapt", row))
        row = row_of(params, ADAPTED, row)["backbone"]
    return [*chain, ("pretrain", row)]


def named_libraries(params: dict[str, Any], table: str, row: str) -> list[str]:
    """Return the packages whose version counts for a row: the whole file's, then its own.

    Args:
        params: the content of ``params.yaml``.
        table: ``corpora``, ``backbones``, ``adapted`` or ``models``.
        row: its name.
    """
    own = row_of(params, table, row).get(LIBRARIES, ())
    return sorted({*params.get(LIBRARIES, ()), *own})


def tracked_values(params: dict[str, Any], stage: str, row: str) -> dict[str, Any]:
    """Return, by key path, the values that a result follows from beside the stage's own section.

    Args:
        params: the content of ``params.yaml``.
        stage: one of ``STAGES``.
        row: a row of its table.
    """
    table = TABLES[stage]
    own = row_of(params, table, row)
    values = {
        key if key == "seed" else f"{table}.{row}.{key}": (params if key == "seed" else own)[key]
        for key in TRACKED.get(stage, ())
    }
    if stage in THREADED and THREADS in params:
        values[THREADS] = params[THREADS]
    return values


def set_variables(
    params: dict[str, Any],
    environment: MutableMapping[str, str],
    keys: Iterable[str] = tuple(VARIABLES),
) -> None:
    """Tell a process by its environment what holds for all rows; only ``params`` counts.

    Args:
        params: the content of ``params.yaml``.
        environment: the process' own, or that of one to be started.
        keys: those of ``VARIABLES`` that are told.
    """
    for key in keys:
        environment.pop(VARIABLES[key], None)
        if key in params:
            environment[VARIABLES[key]] = str(params[key])


def stage_settings(params: dict[str, Any], stage: str, row: str) -> Any:
    """Return the checked settings of one ``stage@row``, defaults filled in.

    Args:
        params: the content of ``params.yaml``.
        stage: one of ``STAGES``.
        row: a row of its table.

    Raises:
        BadSettings: its section is not what the stage's schema allows.
    """
    if ROWS in os.environ:
        return other_rows().stage_settings(params, stage, row)
    table = TABLES[stage]
    raw = row_of(params, table, row).get(stage)
    # One row's settings are asked for several times, and checking them is most of what it costs.
    key = (stage, repr(raw))
    if key not in _CHECKED:
        schema: type[Settings] = importlib.import_module(f"tasks.{stage}.settings").Settings
        _CHECKED[key] = schema.parse(raw, f"{table}.{row}.{stage}")
    return _CHECKED[key]


def on_code_change(params: dict[str, Any], stage: str, row: str) -> str:
    """Return what changed code makes of a row's results: ``rerun``, or ``probe`` first.

    Args:
        params: the content of ``params.yaml``.
        stage: one of ``STAGES``.
        row: a row of its table.
    """
    return str(row_of(params, TABLES[stage], row).get(ON_CODE_CHANGE, CODE_CHANGES[0]))


def on_changed_pins(params: dict[str, Any], model: str) -> str:
    """Return what a policy does where remote sources have changed: ``ask``, or ``promote``."""
    return str(row_of(params, "models", model).get(ON_CHANGED_PINS, CHANGED_PINS[0]))


def asks_for_probes(params: dict[str, Any]) -> bool:
    """Tell whether any row says ``on_code_change: probe``."""
    rows = (row for table in PROBED_TABLES for row in (params.get(table) or {}).values())
    return any(isinstance(row, dict) and row.get(ON_CODE_CHANGE) == "probe" for row in rows)


def other_rows() -> Any:
    """Return the module that ``DOWNSTREAM_ROWS`` names."""
    return importlib.import_module(os.environ[ROWS])


_CHECKED: dict[tuple[str, str], Any] = {}
"""Settings that passed, which are frozen, by stage and the text of what was checked."""


def check_params(params: dict[str, Any]) -> None:
    """Check every row of every table; those of other stages (``ROWS``) are not ours to check.

    Raises:
        BadSettings: the first fault found, with its key path, the value and what is allowed.
    """
    if ROWS in os.environ:
        return
    optional = [ADAPTED, STUDENTS]
    required = [table for table in REFERENCES if table not in optional]
    optional += [ENGINE, LIBRARIES, MEMORY, RESTARTS, THREADS]
    _check_keys(params, ["seed", *required], "", optional=optional)
    _check_no_credentials(params, [])
    _check_libraries(params, LIBRARIES)
    seed = params["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise BadSettings(f"params.yaml: seed: expected a whole number from 0, found {seed!r}")
    threads = params.get(THREADS, 1)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise BadSettings(
            f"params.yaml: threads: expected a whole number from 1, found {threads!r}"
        )
    restarts = params.get(RESTARTS, 0)
    if not isinstance(restarts, int) or isinstance(restarts, bool) or restarts < 0:
        raise BadSettings(
            f"params.yaml: restarts: expected a whole number from 0, found {restarts!r}"
        )
    memory = params.get(MEMORY, LEAST_MIB)
    if not isinstance(memory, int) or isinstance(memory, bool) or memory < LEAST_MIB:
        raise BadSettings(
            f"params.yaml: memory: expected a whole number of MiB from {LEAST_MIB}, found "
            f"{memory!r}"
        )
    _check_choice(params, ENGINE, ENGINES, "")
    tables = [table for table in REFERENCES if table in params]
    for table in tables:
        _check_table(params, table)
    _check_names_of_backbones(params)
    rows = [(table, row) for table in tables for row in params[table]]
    for table, row in rows:
        _check_row(params, table, row)
    for table, row in rows:
        _check_sections(params, table, row)
    for row in rows_of(params, STUDENTS):
        _check_teacher(params, row)
    for row in params["models"]:
        _check_student(params, row)


def _check_names_of_backbones(params: dict[str, Any]) -> None:
    """Refuse two rows whose results would lie in one folder."""
    table_of: dict[str, str] = {}
    for table, stage in (("backbones", "pretrain"), (ADAPTED, "adapt"), (STUDENTS, "distill")):
        for row in rows_of(params, table):
            if row in table_of:
                raise BadSettings(
                    f"params.yaml: {table}.{row}: a row of {table_of[row]} has the same name, and "
                    f"both would write {stage_output(stage, row)}: rename one"
                )
            table_of[row] = table


def _check_teacher(params: dict[str, Any], student: str) -> None:
    """Check a row of students against its teacher, whether a model is on it or not.

    Raises:
        BadSettings: the teacher learns from a model on this row, has a head that is not distilled,
            or another corpus.
    """
    students, models = rows_of(params, STUDENTS), params["models"]
    teacher = students[student]["teacher"]
    taught, row = [teacher], models[teacher]["backbone"]
    while row in students:
        taught.append(students[row]["teacher"])
        if taught[-1] in taught[:-1]:
            raise BadSettings(
                f"{PARAMS}: {STUDENTS}: models learn from each other in a circle, "
                f"{' -> '.join(taught)}: let one of them have a backbone without a teacher"
            )
        row = models[taught[-1]]["backbone"]
    where = f"{PARAMS}: {STUDENTS}.{student}"
    head = stage_settings(params, "finetune", teacher).head
    if head not in DISTILLED:
        raise BadSettings(
            f"{where}.teacher: head {head} of {teacher} is not distilled, classification and "
            "tagging are: name another model"
        )
    if students[student]["corpus"] != models[teacher]["corpus"]:
        raise BadSettings(
            f"{where}.corpus: expected that of the teacher {teacher}, {models[teacher]['corpus']}"
        )


def _check_student(params: dict[str, Any], model: str) -> None:
    """Check a model whose backbone is a row of students.

    Raises:
        BadSettings: the teacher has another head, or the settings fit a head to labels alone.
    """
    students, row = rows_of(params, STUDENTS), params["models"][model]["backbone"]
    if row not in students:
        return
    own, teacher = stage_settings(params, "finetune", model), students[row]["teacher"]
    where = f"{PARAMS}: models.{model}"
    if own.head != stage_settings(params, "finetune", teacher).head:
        raise BadSettings(
            f"{where}.finetune.head: its teacher, {teacher}, has another head: set the same"
        )
    if own.solver == "lbfgs":
        raise BadSettings(
            f"{where}.finetune.solver: lbfgs fits a head to labels alone, and this one has a "
            "teacher: drop it"
        )


def _check_no_credentials(value: Any, keys: list[str]) -> None:
    """Refuse an address with a login or a token: it would stand in dvc.lock, a pin and MLflow."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_no_credentials(inner, [*keys, str(key)])
    elif isinstance(value, list):
        for inner in value:
            _check_no_credentials(inner, keys)
    elif isinstance(value, str) and without_credentials(value) != value:
        raise BadSettings(
            f"params.yaml: {'.'.join(keys)}: an address with a password or a token, which would "
            "stand in dvc.lock: put a login into ~/.netrc, or download the file to data/sources/"
        )


def require_row_name(row: object, where: str) -> None:
    """Check that the name of a row can be one of a file, and is no option of a command.

    Raises:
        BadSettings: it is not.
    """
    if not isinstance(row, str) or not ROW_NAME.fullmatch(row):
        found = f"{row[:40]}…" if isinstance(row, str) and len(row) > 40 else row
        raise BadSettings(
            f"{where}: the row name {found!r} is not of a-z, 0-9 and '-' alone, a letter or digit "
            f"first, {LONGEST_ROW_NAME} at most"
        )


def _check_table(params: dict[str, Any], table: str) -> None:
    rows = params[table]
    if not isinstance(rows, dict):
        raise BadSettings(
            f"params.yaml: {table}: expected rows ({{}} for none), found {rows!r:.60}"
        )
    for row in rows:
        require_row_name(row, f"params.yaml: {table}")


def _optional(table: str) -> list[str]:
    probed = [ON_CODE_CHANGE] if table in PROBED_TABLES else []
    return [LIBRARIES, *probed, *([ON_CHANGED_PINS] if table == "models" else [])]


def _check_choice(values: dict[str, Any], key: str, choices: Sequence[str], where: str) -> None:
    wanted = values.get(key, choices[0])
    if wanted not in choices:
        raise BadSettings(
            f"params.yaml: {where}{key}: expected one of {', '.join(choices)}, found {wanted!r:.60}"
        )


def _check_row(params: dict[str, Any], table: str, row: str) -> None:
    values = params[table][row]
    if not isinstance(values, dict):
        raise BadSettings(f"params.yaml: {table}.{row}: expected keys, found {values!r:.60}")
    stages = [stage for stage in STAGES if TABLES[stage] == table]
    _check_keys(values, [*REFERENCES[table], *stages], f"{table}.{row}.", optional=_optional(table))
    _check_libraries(values, f"{table}.{row}.{LIBRARIES}")
    _check_choice(values, ON_CODE_CHANGE, CODE_CHANGES, f"{table}.{row}.")
    _check_choice(values, ON_CHANGED_PINS, CHANGED_PINS, f"{table}.{row}.")
    for key, others in REFERENCES[table].items():
        known = [name for other in others for name in rows_of(params, other)]
        if not isinstance(values[key], str) or values[key] not in known:
            where = " or ".join(other for other in others if other in params)
            raise BadSettings(
                f"params.yaml: {table}.{row}.{key}: no row {values[key]!r} in {where}; "
                f"{one_of(str(values[key]), known)}"
            )


def _check_sections(params: dict[str, Any], table: str, row: str) -> None:
    """Check a row's sections, by themselves and against the rows that it names."""
    if table == "models":
        _check_labels_are_spared(params, row)
    for stage in (stage for stage in STAGES if TABLES[stage] == table):
        settings = stage_settings(params, stage, row)
        if stage == "clean" and settings.responses is not None:
            _check_prompts_are_together(params, row)
        if stage == "adapt":
            first = chain_of(params, row)[-1]
            architecture = stage_settings(params, *first).architecture
            settings.require_fit(architecture, f"params.yaml: {table}.{row}.{stage}")
        if stage == "pretrain" and settings.init is not None and row in params["corpora"]:
            raise BadSettings(
                f"params.yaml: {table}.{row}: a corpus has the same name, and the pins of both "
                f"would be data/sources/{row}/pin.json: rename one"
            )


def _check_prompts_are_together(params: dict[str, Any], corpus: str) -> None:
    """Refuse to divide several responses to one text, of which each has an id of its own."""
    if stage_settings(params, "split", corpus).group_by != "text":
        raise BadSettings(
            f"params.yaml: corpora.{corpus}.clean.responses: all keeps several records of a text: "
            "set split.group_by: text, so that no test text is a training text"
        )


def _check_labels_are_spared(params: dict[str, Any], row: str) -> None:
    """Refuse to count few labels, or to hold out folds, of what the backbone has learnt all of."""
    values, finetune = params["models"][row], stage_settings(params, "finetune", row)
    key = next((key for key in ("labels", "folds") if getattr(finetune, key)), None)
    for stage, backbone in chain_of(params, values["backbone"]) if key else ():
        has_same_corpus = row_of(params, TABLES[stage], backbone)["corpus"] == values["corpus"]
        if has_same_corpus and stage_settings(params, stage, backbone).reads_labels:
            raise BadSettings(
                f"params.yaml: models.{row}.finetune.{key}: the backbone {backbone} was "
                f"pretrained with all labels of {values['corpus']}, so that they would count "
                "nothing: take a backbone that reads none, or drop it"
            )


def _check_libraries(values: dict[str, Any], where: str) -> None:
    names = values.get(LIBRARIES, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadSettings(f"params.yaml: {where}: expected a list of packages, found {names!r:.60}")
    for name in names:
        if public_version(name) is None:
            raise BadSettings(
                f"params.yaml: {where}: {name!r} is not installed here; "
                f"{one_of(name, versions_now())}"
            )


def _check_keys(
    values: dict[str, Any], expected: list[str], where: str, optional: Sequence[str] = ()
) -> None:
    for key in values:
        if key not in expected and key not in optional:
            known = one_of(str(key), [*expected, *optional])
            raise BadSettings(f"params.yaml: {where}{key}: unknown key; {known}")
    for key in expected:
        if key not in values:
            raise BadSettings(
                f"params.yaml: {where}{key} is missing; add it ({{}} takes all defaults)"
            )
