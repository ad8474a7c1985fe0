"""The hashes of files that rows read, remembered, so that a checkpoint is hashed once, not a plan.

A file is the same while its path, inode, size, time of change and time of status change are. The
last is set by the kernel alone: an edit that puts size and time back is seen by it. What changed in
the last two seconds is not remembered, since it may change once more within one tick of the clock.
"""

import hashlib
import time
from contextlib import suppress
from pathlib import Path

from tasks.contracts import files
from tasks.contracts.parse_cache import CACHE

REMEMBERED = CACHE / "contents.json"
SETTLED_SECONDS = 2.0


class ContentHashes:
    """The sha256 of files and folders; ``remember`` keeps what is new for the next process."""

    def __init__(self) -> None:
        """Read what is remembered."""
        self._known: dict[str, list[object]] = {}
        self._changed = False
        # A torn one or none: it is only made again.
        with suppress(OSError, ValueError, TypeError):
            self._known = dict(files.read_json(REMEMBERED))

    def of(self, path: Path) -> str:
        """Return the hash of a file or folder, as ``files.sha256`` gives it, or "missing"."""
        if not path.is_dir():
            return self._of_file(path) if path.is_file() else "missing"
        digest = hashlib.sha256()
        for inside in sorted(inside for inside in path.rglob("*") if inside.is_file()):
            name = inside.relative_to(path).as_posix()
            digest.update(f"{name}\0{self._of_file(inside)}\n".encode())
        return digest.hexdigest()

    def remember(self) -> None:
        """Keep what is new for the next process; a workspace that is read-only is no error."""
        if self._changed:
            # A file that is gone is forgotten.
            kept = {path: entry for path, entry in self._known.items() if Path(path).exists()}
            with suppress(OSError):
                files.write_json(REMEMBERED, kept)

    def _of_file(self, path: Path) -> str:
        key, stamp = str(path.absolute()), _stamp(path)
        known = self._known.get(key)
        if isinstance(known, list) and known[1:] == stamp:
            return str(known[0])
        content = files.sha256(path)
        settled = max(stamp[2:]) / 1e9 < time.time() - SETTLED_SECONDS
        if settled and _stamp(path) == stamp:
            self._known[key] = [content, *stamp]
            self._changed = True
        return content


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
