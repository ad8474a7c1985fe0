"""The hash of a module's syntax tree, which leaves out what cannot reach an output's bytes.

Hashes are remembered by the hash of the module's text: a hundred syntax trees cost 0.2 s.
"""

import ast
import hashlib
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.contracts import files, paths

REMEMBERED = paths.STATE / "cache" / "modules.json"


@lru_cache(maxsize=1024)
def hash_of_source(source: str) -> str:
    """Return a hash that formatting, comments, docstrings and error texts do not change."""
    tree = _Normalised().visit(ast.parse(source))
    return hashlib.sha256(_dump(tree).encode()).hexdigest()[:32]


def _dump(node: Any) -> str:
    """Return a syntax tree as a text that every version of Python writes in the same way.

    ``ast.dump`` does not: a new version adds fields, empty where the code has nothing for them, and
    a result would be stale for a colleague with another Python.
    """
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    given = (f"{name}={_dump(of)}" for name, of in ast.iter_fields(node) if of not in (None, []))
    return f"{type(node).__name__}({', '.join(given)})"


class _Normalised(ast.NodeTransformer):
    """Drops what cannot reach an output's bytes."""

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST | None:
        """Settings classes are schema: their resolved values are in the fingerprint."""
        return None if node.name.endswith("Settings") else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Drop the empty text that Python 3.12 puts behind a nested format: it says nothing."""
        node.values = [
            part
            for part in node.values
            if not (isinstance(part, ast.Constant) and part.value == "")
        ]
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Keep which exception is raised, not its text."""
        if isinstance(node.exc, ast.Call):
            return ast.Raise(exc=node.exc.func, cause=None)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings, which are strings that stand alone, and calls of ``say``."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "say":
            return None
        return self.generic_visit(node)


class ModuleHashes:
    """What the hash function gave for each source text."""

    def __init__(
        self, compute: Callable[[str], str] = hash_of_source, defined_in: Path = Path(__file__)
    ) -> None:
        """Read what is remembered.

        Args:
            compute: the function.
            defined_in: its own source; what another version of it gave is forgotten.
        """
        self._compute = compute
        self._version = f"{sys.version_info[:3]} {files.sha256(defined_in)}"
        self._used: dict[str, str] = {}
        self._known: dict[str, str] = {}
        # Another version's, a torn one or none: it is only made again.
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = files.read_json(REMEMBERED)
            if content["version"] == self._version:
                self._known = dict(content["hashes"])

    def of(self, source: str) -> str:
        """Return the hash of a source text."""
        key = files.sha256_of_text(source)
        if key not in self._used:
            self._used[key] = self._known.get(key) or self._compute(source)
        return self._used[key]

    def remember(self) -> None:
        """Write what was used, if any of it is new; a workspace that is read-only is no error."""
        if self._used.keys() <= self._known.keys():
            return
        with suppress(OSError):
            files.write_json(REMEMBERED, {"version": self._version, "hashes": self._used})
