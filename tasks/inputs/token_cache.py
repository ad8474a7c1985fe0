"""Tokenised texts on the disk: made once a split and tokenizer, opened as memory-mapped arrays.

    .downstream/tokens/<key>/{tokens,text_starts,sentence_starts,…}.npy, index.json
    .downstream/tokens/<key>/tokenizer.json, index.json

The key is a hash of all that the content follows from. A folder is written under another name and
renamed when it is whole; its index holds the sha256 of each file, so that a torn or altered one is
made again. Files of many gigabytes are not read for that at every start: whose size, time and
inode are those of when it was last hashed is not hashed again, here and among the splits. Who is
second waits for the first, whose folder it then uses.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from tasks.contracts import files, paths
from tasks.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FOLDER = paths.STATE / "tokens"
INDEX = "index.json"
STAMPS = "stamps.json"
SECONDS_TO_SETTLE = 2.0
"""A file that was written just now could be written again within the same tick of its clock."""
KEPT = 64
"""Folders that are kept; the longest unused ones go first."""


def key_of(*parts: str) -> str:
    """Return the key of what follows from these parts alone."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def known_sha256(path: Path) -> str:
    """Return the sha256 of a file, from when it was last hashed if it is the same file since."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:40]
    note = FOLDER / f"{name}.sha256.json"
    stamp = list(files.stamp(path))
    try:
        known = files.read_json(note)
        if known["stamp"] == stamp:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    digest = files.sha256(path)
    if _is_settled(stamp):
        with suppress(OSError):  # without it, it is hashed again
            files.write_json(note, {"stamp": stamp, "sha256": digest})
    return digest


def _is_settled(stamp: Sequence[int]) -> bool:
    return time.time() - stamp[0] / 1e9 > SECONDS_TO_SETTLE


def cached(key: str, write: Callable[[Path], None]) -> Path:
    """Return the folder of a key, made by ``write`` unless it is there and whole.

    Args:
        key: a hash of all that the content follows from.
        write: fills the folder that it is given.

    Raises:
        BadInput: the disk is full, or cannot be written to.
    """
    folder = FOLDER / key
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with FileLock(FOLDER / f"{key}.lock"):
            if not is_whole(folder):
                _make(folder, write)
            os.utime(folder)
    except OSError as error:
        raise BadInput(
            f"{folder}: the tokens of a corpus cannot be kept here ({error.strerror}): make room, "
            "or make it writable"
        ) from None
    return folder


def _make(folder: Path, write: Callable[[Path], None]) -> None:
    with files.new_folder(folder) as partial:
        write(partial)
        index = {path.name: files.sha256(path) for path in sorted(partial.iterdir())}
        files.write_json(partial / INDEX, index)
    _forget_old(folder)


def is_whole(folder: Path) -> bool:
    """Tell whether a folder has all that was written into it, unchanged."""
    try:
        index = files.read_json(folder / INDEX)
        stamps = {name: list(files.stamp(folder / name)) for name in index}
        if stamps == _known_stamps(folder):
            return True
        is_whole = all(files.sha256(folder / name) == digest for name, digest in index.items())
    except (OSError, ValueError, AttributeError):
        return False
    if is_whole and all(map(_is_settled, stamps.values())):
        files.write_json(folder / STAMPS, stamps)
    return is_whole


def _known_stamps(folder: Path) -> Any:
    try:
        return files.read_json(folder / STAMPS)
    except (OSError, ValueError):
        return None


def _forget_old(newest: Path) -> None:
    """Remove what has been unused longest; a process that has it open keeps its mapping."""
    folders = [path for path in FOLDER.iterdir() if path.is_dir() and path != newest]
    for path in sorted(folders, key=last_use, reverse=True)[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)


def last_use(path: Path) -> float:
    """Return when a folder was last asked for."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def mapped(path: Path) -> np.ndarray:
    """Open an array without reading it; it cannot be written to."""
    array: np.ndarray = np.load(path, mmap_mode="r").view(np.ndarray)
    return array


class ArrayWriter:
    """Writes an array of unknown length to an ``.npy`` file, piece by piece."""

    def __init__(self, path: Path, dtype: Any) -> None:
        self._dtype = np.dtype(dtype)
        self._file = path.open("wb")
        self._num_items = 0
        self._write_header()

    def add(self, items: np.ndarray) -> None:
        """Append items."""
        self._file.write(np.ascontiguousarray(items, self._dtype).data)
        self._num_items += len(items)

    def close(self) -> None:
        """Write the length into the header, for which numpy leaves room, and the file through."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _write_header(self) -> None:
        header = np.lib.format.header_data_from_array_1_0(np.zeros(0, self._dtype))
        np.lib.format.write_array_header_1_0(self._file, {**header, "shape": (self._num_items,)})
