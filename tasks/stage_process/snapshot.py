"""The code of a stage process: a copy of ``tasks/``, made before anything of it is imported.

An edit of the code while a stage waits for its device, or trains for hours, must neither reach its
result nor throw it away. So ``python -m tasks.<stage>`` copies ``tasks/`` (its modules and what
lies beside them) to

    .downstream/snapshots/<hash of the tree>/tasks/

once for each state of the tree, and every module is imported from there, in processes that the
stage starts (training ranks) too. The stage's fingerprint is taken from the copy as well, and must
be the recorded one. A traceback names the repository's own paths. With ``DOWNSTREAM_DEBUG`` a stage
runs in place.

``tasks/__init__.py`` calls this first of all, so nothing of the project is imported here.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from importlib.util import cache_from_source, spec_from_file_location
from pathlib import Path
from types import CodeType

SNAPSHOTS = Path(".downstream") / "snapshots"
VARIABLE = "DOWNSTREAM_SNAPSHOT"
"""Holds the folder whose ``tasks/`` this process imports, and those that it starts."""
PACKAGE = "tasks"
BYTECODE = "__pycache__"
HASH_WIDTH = 16


def current() -> Path | None:
    """Return the folder whose ``tasks/`` this process imports; None if it runs in place."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def begin(root: Path) -> None:
    """Import the stage that this process was started for from a snapshot.

    It is the snapshot that ``DOWNSTREAM_SNAPSHOT`` names, if any, else the tree as it is now.

    Args:
        root: the repository's root.

    Raises:
        OSError: it cannot be written.
    """
    enter(current() or take(root))


def take(root: Path) -> Path:
    """Copy ``tasks/`` as it lies there now, unless a snapshot holds the same already.

    Args:
        root: the repository's root.

    Returns:
        The snapshot's folder, which holds ``tasks/``.

    Raises:
        OSError: it cannot be written.
    """
    tree = _read_tree(root)
    digest = hashlib.sha256()
    for path, content in tree.items():
        digest.update(f"{path}\0{len(content)}\n".encode())
        digest.update(content)
    folder = root / SNAPSHOTS / digest.hexdigest()[:HASH_WIDTH]
    with suppress(OSError):
        os.utime(folder)  # `downstream clean` keeps those that were used last
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        _write_tree(tree, partial, next(iter(by_last_use(root)), None))
        with suppress(OSError):  # another process was quicker
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def by_last_use(root: Path) -> list[Path]:
    """Return all snapshots, the one that was used last first."""
    return sorted((root / SNAPSHOTS).glob("[!.]*"), key=_last_use, reverse=True)


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _read_tree(root: Path) -> dict[str, bytes]:
    """Return the content of every file of ``tasks/`` but bytecode, by its path from the root."""
    tree = {}
    for folder, folders, names in os.walk(root / PACKAGE):
        folders[:] = sorted(name for name in folders if name != BYTECODE)
        for name in sorted(names):
            path = Path(folder, name)
            tree[path.relative_to(root).as_posix()] = path.read_bytes()
    return tree


def _write_tree(tree: dict[str, bytes], folder: Path, previous: Path | None) -> None:
    """Write a tree; a file that the previous snapshot has is linked, with its bytecode."""
    for path, content in tree.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if previous is None or not _link_same(content, previous / path, target):
            target.write_bytes(content)


def _link_same(content: bytes, old: Path, new: Path) -> bool:
    try:
        if old.read_bytes() != content:
            return False
        os.link(old, new)
    except OSError:
        return False
    if old.suffix in SOURCE_SUFFIXES:
        bytecode = Path(cache_from_source(str(new)))
        with suppress(OSError):  # this Python has never imported it
            bytecode.parent.mkdir(exist_ok=True)
            os.link(cache_from_source(str(old)), bytecode)
    return True


def enter(folder: Path) -> None:
    """Import every module of ``tasks`` that is not imported yet from a snapshot.

    Args:
        folder: from ``take``.
    """
    os.environ[VARIABLE] = str(folder)
    sys.path_hooks.insert(0, _hook(f"{folder}{os.sep}"))
    for path in [path for path in sys.path_importer_cache if path.startswith(str(folder))]:
        del sys.path_importer_cache[path]
    # A process that Python's multiprocessing starts is given this path.
    sys.path.insert(0, str(folder))
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE and hasattr(module, "__path__"):
            package = folder.joinpath(*name.split("."))
            module.__path__ = [str(package)]
            module.__file__ = str(package / "__init__.py")
            module.__spec__ = spec_from_file_location(
                name, package / "__init__.py", submodule_search_locations=[str(package)]
            )


def _hook(inside: str) -> Callable[[str], FileFinder]:
    def finder(path: str) -> FileFinder:
        if not path.startswith(inside):
            raise ImportError(path)
        return FileFinder(path, (_Loader, SOURCE_SUFFIXES))

    return finder


class _Loader(SourceFileLoader):
    """Reads a module from a snapshot; its code bears the name of the repository's file."""

    def get_code(self, fullname: str) -> CodeType | None:
        code = super().get_code(fullname)
        return _named(code, str(original(Path(self.path)))) if code else None


def original(path: Path) -> Path:
    """Return the repository's file that a snapshot has a copy of; any other path as it is."""
    root, inside, copied = path.as_posix().partition(f"/{SNAPSHOTS.as_posix()}/")
    return Path(root, copied.partition("/")[2]) if inside else path


def _named(code: CodeType, path: str) -> CodeType:
    inner = (_named(item, path) if isinstance(item, CodeType) else item for item in code.co_consts)
    return code.replace(co_filename=path, co_consts=tuple(inner))
