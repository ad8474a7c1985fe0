"""The fingerprint of the code that a row of a stage runs.

One line with the row's resolved settings (defaults included), one line a library that
``params.yaml`` names for it, with its version, then one line a module that the row can reach: its
name and the hash of its syntax tree, without comments, docstrings, formatting and error texts; and
one line a template that lies beside such a module (``card.md.j2`` by ``card.py``). A registry is
followed only into the entries that the row names, so a change in one architecture leaves the rows
of the others fresh. Last, one line a file or folder that the row reads and ``dvc.yaml`` does not
know of: a checkpoint to start from, or its pin; and one line with the seed and the references that
the stage tracks. DVC hashes ``params.yaml`` again when a command has ended, so that ``dvc.lock``
may have a value of the last second's; the fingerprint has those that the result was made with.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.contracts import files
from tasks.contracts.params import (
    ROWS,
    STAGES,
    TABLES,
    named_libraries,
    other_rows,
    stage_settings,
    tracked_values,
)
from tasks.errors import BadInput
from tasks.fingerprint.content_hash import ContentHashes
from tasks.fingerprint.libraries import library_lines
from tasks.fingerprint.syntax_hash import ModuleHashes

# The one list of modules that are not hashed, and why; a name covers what lies below it.
NOT_HASHED = {
    "tasks.errors": "error texts",
    "tasks.progress": "progress",
    "tasks.parent": "how a process ends with its parent",
    "tasks.tracking": "tracking: what MLflow is told",
    "tasks.stage_process": "how a stage is started and recorded",
    "tasks.fingerprint": "how code is told apart; another way of telling shows in every line",
    "tasks.contracts.params": "how params.yaml is read; the values are in the fingerprint",
    "tasks.contracts.settings": "how params.yaml is checked; the values are in the fingerprint",
    "tasks.contracts.registry": "how an entry is found; the entry itself is hashed",
    "tasks.*.settings": "the schema; the resolved values are in the fingerprint",
}


SETTINGS_LINE = "settings"
"""What the line with the resolved settings starts with; no module has that name."""
ROW_LINE = "row"
"""What the line with the seed and the row's references starts with, where the stage tracks them."""


def fingerprints(params: dict[str, Any], root: Path) -> dict[str, str]:
    """Return the fingerprint of every ``stage@row`` of ``params.yaml``.

    Args:
        params: the checked content of ``params.yaml``.
        root: the repository's root.
    """
    if ROWS in os.environ:
        return other_rows().fingerprints(params)
    graph = _Code(root)
    by_row = {
        f"{stage}@{row}": _fingerprint(graph, params, stage, row)
        for stage in STAGES
        for row in params[TABLES[stage]]
    }
    graph.remember()
    return by_row


def fingerprint(
    params: dict[str, Any], stage: str, row: str, root: Path, code: Path | None = None
) -> str:
    """Return the fingerprint of one ``stage@row``.

    Args:
        params: the content of ``params.yaml``.
        stage: one of ``STAGES``.
        row: a row of its table.
        root: the repository's root.
        code: a snapshot's folder, whose modules are hashed in place of the repository's.
    """
    if ROWS in os.environ:
        return other_rows().fingerprints(params)[f"{stage}@{row}"]
    return _fingerprint(_Code(root, code), params, stage, row)


def _fingerprint(code: "_Code", params: dict[str, Any], stage: str, row: str) -> str:
    settings = stage_settings(params, stage, row)
    roots = [f"tasks.{stage}.__main__", *settings.modules()]
    if TABLES[stage] == "models":
        backbone = params["models"][row]["backbone"]
        pretrain = stage_settings(params, "pretrain", backbone)
        roots += [name for name in pretrain.modules() if name.startswith("tasks.models.")]
    resolved = json.dumps(settings.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    read = (f"{_one_word(path)} {code.content_of(path)}\n" for path in settings.reads(row))
    libraries = library_lines(named_libraries(params, TABLES[stage], row))
    beside = tracked_values(params, stage, row)
    own = f"{ROW_LINE} {json.dumps(beside, sort_keys=True)}\n" if beside else ""
    head = f"{SETTINGS_LINE} {resolved}\n{libraries}"
    return f"{head}{code.lines(tuple(roots))}{own}{''.join(read)}"


def _one_word(path: Path) -> str:
    return path.as_posix().replace(" ", "%20")


class _Code:
    """The modules of ``tasks`` as they lie on disk, and who imports whom."""

    def __init__(self, root: Path, code: Path | None = None) -> None:
        import grimp
        from grimp.exceptions import SourceSyntaxError

        self._root = root
        self._code = code or root
        try:
            self._graph = grimp.build_graph(
                "tasks", cache_dir=None, exclude_type_checking_imports=True
            )
        except SourceSyntaxError as error:
            where = f"{error.filename}, line {error.lineno}"
            raise BadInput(f"{where}: the code is no Python: mend it") from None
        self._hashes: dict[str, str] = {}
        self._remembered = ModuleHashes()
        self._contents = ContentHashes()
        self._lines: dict[tuple[str, ...], str] = {}
        self._templates = sorted(
            path.relative_to(self._code) for path in self._code.joinpath("tasks").rglob("*.j2")
        )

    def lines(self, roots: tuple[str, ...]) -> str:
        """Return a line for each module that the roots reach, and for each template beside one.

        Many rows share their roots.
        """
        if roots not in self._lines:
            modules = self.reachable(roots)
            lines = [f"{module} {self.hash_of(module)}\n" for module in modules]
            lines += [
                f"{path.as_posix()} {files.sha256(self._code / path)}\n"
                for path in self._templates
                if ".".join([*path.parent.parts, path.name.partition(".")[0]]) in modules
            ]
            self._lines[roots] = "".join(lines)
        return self._lines[roots]

    def reachable(self, roots: Iterable[str]) -> list[str]:
        """Return the hashed modules that the roots import, directly or not, sorted."""
        reached: set[str] = set()
        waiting = list(roots)
        while waiting:
            module = waiting.pop()
            if module in reached or not_hashed(module):
                continue
            reached.add(module)
            waiting += self._graph.find_modules_directly_imported_by(module)
            if "." in module:
                waiting.append(module.rpartition(".")[0])
        return sorted(reached)

    def hash_of(self, module: str) -> str:
        """Return the hash of a module's normalised syntax tree."""
        if module not in self._hashes:
            source = module_source(self._code, module).read_text(encoding="utf-8")
            self._hashes[module] = self._remembered.of(source)
        return self._hashes[module]

    def content_of(self, path: Path) -> str:
        """Return the hash of a file or folder, or that there is none."""
        return self._contents.of(self._root / path)

    def remember(self) -> None:
        """Keep the hashes for the next process."""
        self._remembered.remember()
        self._contents.remember()


def module_source(root: Path, module: str) -> Path:
    """Return the file that a module lies in."""
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def not_hashed(module: str) -> bool:
    """Tell whether a module is on the list of what is not hashed."""
    if module.startswith("tasks.") and module.endswith(".settings"):
        return True
    return any(module == name or module.startswith(f"{name}.") for name in NOT_HASHED)
