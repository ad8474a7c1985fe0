"""Hashes of modules, remembered by the hash of their text: a hundred syntax trees cost 0.2 s."""

import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tasks.contracts import files, paths

REMEMBERED = paths.STATE / "cache" / "modules.json"


class ModuleHashes:
    """What a hash function gave for each source text."""

    def __init__(self, compute: Callable[[str], str], defined_in: Path) -> None:
        """Read what is remembered.

        Args:
            compute: the function.
            defined_in: its own source; what another version of it gave is forgotten.
        """
        self._compute = compute
        self._version = f"{sys.version_info[:3]} {_sha256(defined_in.read_text(encoding='utf-8'))}"
        self._used: dict[str, str] = {}
        self._known: dict[str, str] = {}
        # Another version's, a torn one or none: it is only made again.
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = files.read_json(REMEMBERED)
            if content["version"] == self._version:
                self._known = dict(content["hashes"])

    def of(self, source: str) -> str:
        """Return the hash of a source text."""
        key = _sha256(source)
        if key not in self._used:
            self._used[key] = self._known.get(key) or self._compute(source)
        return self._used[key]

    def remember(self) -> None:
        """Write what was used, if any of it is new; a workspace that is read-only is no error."""
        if self._used.keys() <= self._known.keys():
            return
        with suppress(OSError):
            files.write_json(REMEMBERED, {"version": self._version, "hashes": self._used})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
