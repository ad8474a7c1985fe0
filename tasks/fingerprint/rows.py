"""The fingerprint of the code that a row of a stage runs.

One line with the row's resolved settings (defaults included), one line a library that
``params.yaml`` names for it, with its version, then one line a module that the row can reach: its
name and the hash of its syntax tree, without what cannot reach an output (``syntax_hash``). Then
one line a file beside these modules that they may read (``modules``). A registry is followed only
into the entries that the row names, so a change in one architecture leaves the rows of the others
fresh. Last, one line a file or folder that the row reads and ``dvc.yaml`` does not know of: a
checkpoint to start from, or its pin; and one line with the seed and the references that the stage
tracks. DVC hashes ``params.yaml`` again when a command has ended, so that ``dvc.lock`` may have a
value of the last second's; the fingerprint has those that the result was made with.
"""

import json
import os
from pathlib import Path
from typing import Any

from tasks.contracts.params import (
    ROWS,
    STAGES,
    STUDENTS,
    TABLES,
    chain_of,
    named_libraries,
    other_rows,
    row_of,
    rows_of,
    stage_settings,
    tracked_values,
)
from tasks.contracts.settings import Settings
from tasks.fingerprint.libraries import library_lines
from tasks.fingerprint.modules import Code

SETTINGS_LINE = "settings"
"""What the line with the resolved settings starts with; no module has that name."""
ROW_LINE = "row"
"""What the line with the seed and the row's references starts with, where the stage tracks them."""
# Hashed for every row: they make what a stage is given, and are called by what is not hashed.
ALWAYS = ("tasks.contracts.stage_run",)
HEADS = "tasks.heads."
"""Of a model, what its head is measured by too, where that is another than classification."""
MODELS = "tasks.models."
"""Whose settings are also read from a model's or checkpoint's own ``config.json``.

What that does not say is then the schema's default, which no fingerprint holds as a value.
"""


def fingerprints(params: dict[str, Any], root: Path) -> dict[str, str]:
    """Return the fingerprint of every ``stage@row`` of ``params.yaml``.

    Args:
        params: the checked content of ``params.yaml``.
        root: the repository's root.
    """
    if ROWS in os.environ:
        return other_rows().fingerprints(params)
    code = Code(root)
    lines: dict[tuple[object, ...], str] = {}
    by_row = {
        f"{stage}@{row}": _fingerprint(code, lines, params, stage, row)
        for stage in STAGES
        for row in rows_of(params, TABLES[stage])
    }
    code.remember()
    return by_row


def fingerprint(
    params: dict[str, Any], stage: str, row: str, root: Path, snapshot: Path | None = None
) -> str:
    """Return the fingerprint of one ``stage@row``.

    Args:
        params: the content of ``params.yaml``.
        stage: one of ``STAGES``.
        row: a row of its table.
        root: the repository's root.
        snapshot: a snapshot's folder, whose modules are hashed in place of the repository's.
    """
    if ROWS in os.environ:
        return other_rows().fingerprints(params)[f"{stage}@{row}"]
    return _fingerprint(Code(root, snapshot), {}, params, stage, row)


def _fingerprint(
    code: Code, known: dict[tuple[object, ...], str], params: dict[str, Any], stage: str, row: str
) -> str:
    """Return one row's fingerprint.

    Args:
        code: the repository's.
        known: the lines of modules and their files by what they start from, which many rows share.
        params: the content of ``params.yaml``.
        stage: one of ``STAGES``.
        row: a row of its table.
    """
    settings = stage_settings(params, stage, row)
    roots = [f"tasks.{stage}.__main__", *ALWAYS, *settings.modules()]
    backbone = row_of(params, TABLES[stage], row).get("backbone")
    if backbone is not None:
        pretrain = stage_settings(params, *chain_of(params, backbone)[-1])
        roots += [name for name in pretrain.modules() if name.startswith(MODELS)]
    if TABLES[stage] == "models":
        finetune = stage_settings(params, "finetune", row)
        roots += [name for name in finetune.modules() if name.startswith(MODELS)]
        if stage == "evaluate" and finetune.head is not None:
            roots += [name for name in finetune.modules() if name.startswith(HEADS)]
            roots.append("tasks.evaluate.headed")
        if stage == "finetune" and backbone in rows_of(params, STUDENTS):
            roots += _of_teacher(params, row_of(params, STUDENTS, backbone)["teacher"])
    builds_from_values = stage == "pretrain" and settings.init is None
    key = (builds_from_values, *roots)
    if key not in known:
        known[key] = _lines(code, roots, () if builds_from_values else (MODELS,))
    resolved = json.dumps(_plain(settings), sort_keys=True, ensure_ascii=False)
    read = (f"{_one_word(path)} {code.content_of(path)}\n" for path in settings.reads(row))
    libraries = library_lines(named_libraries(params, TABLES[stage], row))
    beside = tracked_values(params, stage, row)
    own = f"{ROW_LINE} {json.dumps(beside, sort_keys=True)}\n" if beside else ""
    return f"{SETTINGS_LINE} {resolved}\n{libraries}{known[key]}{own}{''.join(read)}"


def _of_teacher(params: dict[str, Any], teacher: str) -> list[str]:
    """Return what a student's training runs beside its own: its teacher's model, and the loss."""
    backbone = row_of(params, "models", teacher)["backbone"]
    settings = (
        stage_settings(params, *chain_of(params, backbone)[-1]),
        stage_settings(params, "finetune", teacher),
    )
    modules = [name for each in settings for name in each.modules() if name.startswith(MODELS)]
    return [*modules, "tasks.finetune.distill"]


def _lines(code: Code, roots: list[str], whole: tuple[str, ...]) -> str:
    """Return a line for each module that the roots reach, and for each file that is read there.

    Args:
        code: the repository's.
        roots: modules.
        whole: what the names of modules begin with whose settings are hashed with their schema.
    """
    modules = code.reachable(roots)
    lines = [
        f"{module} {code.hash_of(module, whole=module.startswith(whole))}\n" for module in modules
    ]
    lines += [f"{_one_word(path)} {code.content_of(path)}\n" for path in code.files_of(modules)]
    return "".join(lines)


def _plain(value: Any) -> Any:
    """Return a value of settings as JSON that tells values apart which act differently.

    JSON has one kind of list and of text: a value of any other type is named with its type.
    """
    if isinstance(value, Settings):
        given = {name: getattr(value, name) for name in type(value).model_fields}
        left_out = {name for name in value.neutral() if given[name] is None}
        return {name: _plain(item) for name, item in given.items() if name not in left_out}
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) is list:
        return [_plain(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    return f"{type(value).__name__} {value!r}"


def _one_word(path: Path) -> str:
    """Return a path as one word that is no module's name: it holds a slash."""
    text = path.as_posix().replace(" ", "%20")
    return text if "/" in text else f"./{text}"
