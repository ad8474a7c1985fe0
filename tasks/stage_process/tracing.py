"""What a stage really imported and opened, held against what its identity names.

A module that is found at run time, or a file that code opens by itself, is missing in the
fingerprint and in ``dvc.yaml``: a change of it would rerun nothing. So the modules that were
imported from the repository, and the files in it that Python opened, are compared with the
fingerprint's lines and the declared inputs: before a training's first step, at each checkpoint, and
when a stage ends. What libraries open in their own C or Rust code (pyarrow, safetensors,
tokenizers) Python's audit hook does not see: a test watches small rows with ``strace``.
"""

import itertools
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.contracts import paths
from tasks.contracts.lock import LOCK
from tasks.fingerprint.modules import OPTIONAL, PACKAGE, not_hashed
from tasks.stage_process import snapshot
from tasks.stage_process.stage_hash import Inputs

# The one list of places in the repository that any stage may read, and why.
EXEMPT = {
    ".venv": "libraries",
    ".git": "tracking: which commit",
    ".dvc": "DVC's own settings and state",
    ".dvcignore": "DVC's own settings",
    ".gitignore": "read by DVC",
    ".downstream": "checkpoints, caches, records for MLflow; copies of the code are looked at",
    "dvc.yaml": "read by DVC",
    LOCK.as_posix(): "read by DVC",
    paths.PARAMS.as_posix(): "what a row takes of it is tracked, and in its fingerprint",
    (paths.DATA / "code").as_posix(): "fingerprints of earlier stages, held against their records",
    "mlflow.db": "MLflow's store",
    "mlflow.db-journal": "SQLite's, beside it",
    "mlruns": "MLflow's store",
    "mlartifacts": "MLflow's store",
}
BYTECODE = ".pyc"
SOURCE = ".py"


class Trace:
    """The files that Python has opened in this process since it was started."""

    def __init__(self, root: Path) -> None:
        """Listen from now on; Python's audit hooks stay for the life of a process.

        What is imported already was imported to read settings and to take the fingerprint (the
        objective of a model's backbone, for example).
        """
        self._root = os.fspath(root.resolve())
        self._before = set(_own_modules(self._root))
        self._opened: set[str] = set()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        # Called for everything that Python audits: as little as possible happens here.
        if event == "open" and isinstance(arguments[0], str):
            flags = arguments[2]
            if not isinstance(flags, int) or flags & os.O_ACCMODE != os.O_WRONLY:
                self._opened.add(arguments[0])

    def undeclared(self, name: str, inputs: Inputs, code: str) -> list[str]:
        """Return what was imported and opened and no identity names, sorted.

        Args:
            name: the stage, ``<stage>@<row>``.
            inputs: what it depends on.
            code: its code fingerprint.
        """
        # What is no file now is no input: folders, and names that are relative to another folder
        # (os.open's `dir_fd`, which the hook is not given).
        there = (os.path.abspath(path) for path in self._opened.copy() if os.path.isfile(path))  # noqa: PTH100, PTH113
        return [
            *sorted(unnamed_modules(self._root, _named(code), self._before)),
            *undeclared_files(self._root, there, name, inputs, code),
        ]


def undeclared_files(
    root: str, opened: Iterable[str], name: str, inputs: Inputs, code: str
) -> list[str]:
    """Return the files among some in the repository that no identity names, sorted.

    Args:
        root: the repository.
        opened: absolute paths of what was opened for reading.
        name: the stage, ``<stage>@<row>``.
        inputs: what it depends on.
        code: its code fingerprint.
    """
    output = paths.stage_output(*name.split("@", 1)).as_posix()
    known = {*_named(code), *inputs.files, output}
    relative = (_relative(root, path) for path in opened)
    return sorted({path for path in relative if path and not _is_known(path, known)})


def _named(code: str) -> set[str]:
    """Return what a fingerprint names: the first word of each of its lines."""
    words = (line.partition(" ")[0].replace("%20", " ") for line in code.splitlines())
    return {word.removeprefix("./") for word in words}


def _relative(root: str, path: str) -> str | None:
    """Return a file's path in the repository, of a snapshot's that of the original.

    It is None where it lies elsewhere or in an exempt place.
    """
    if not path.startswith(f"{root}{os.sep}") or path.startswith(f"{sys.prefix}{os.sep}"):
        return None
    relative = os.fspath(snapshot.original(Path(path)))[len(root) + 1 :]
    return None if any(part in EXEMPT for part in _leading(relative)) else relative


def _leading(path: str) -> Iterable[str]:
    """Yield a path's folders, the outermost first, and the path itself."""
    return itertools.accumulate(path.split("/"), "{}/{}".format)


def _is_known(path: str, known: set[str]) -> bool:
    if path.endswith((BYTECODE, SOURCE)):
        return True  # a module: what counts is whether it was imported
    if any(part in known for part in _leading(path)):
        return True
    parts = path.split("/")
    module = ".".join([*parts[:-1], parts[-1].partition(".")[0]])
    return not_hashed(module)


def unnamed_modules(root: str, named: set[str], before: set[str]) -> set[str]:
    """Return the modules that were imported from the repository and that the fingerprint misses.

    What a named module imports by a statement was judged when the fingerprint was taken, and what
    is not hashed imports others that are not: neither is told. It is what was found at run time.

    Args:
        root: the repository.
        named: the first word of each line of the fingerprint.
        before: what was imported before the stage's own work began.
    """
    found = set(_own_modules(root))
    unnamed = {name for name in found - before - named if not not_hashed(name)}
    if unnamed:
        import grimp

        graph = grimp.build_graph(PACKAGE, cache_dir=None, exclude_type_checking_imports=True)
        for name in {*OPTIONAL} - named:
            graph.remove_module(name)  # an `import` of it stands there for other settings
        for name in sorted(graph.modules):
            if name in named or not_hashed(name):
                unnamed -= graph.find_upstream_modules(name)
        unnamed -= {parent for name in found - unnamed for parent in _parents(name)}
    return unnamed


def _own_modules(root: str) -> Iterable[str]:
    """Yield what was imported from the repository, by its file: MLflow gives one another name."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        path = _relative(root, file) if isinstance(file, str) else None
        if path is not None and path.endswith(SOURCE):
            yield path.removesuffix(SOURCE).replace("/", ".").removesuffix(".__init__")


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]
