"""The hash of a module's syntax tree, which leaves out what cannot reach an output's bytes.

Left out, each because nothing can come of it:

- comments, formatting, docstrings (``__doc__`` is read nowhere: a test);
- the text of an error and of a line of progress, where making it does nothing (``harmless``);
- the names of local variables (``local_names``);
- annotations of arguments, results and local variables, which are not looked at when code runs,
  unless a decorator may do so; what stands under ``if TYPE_CHECKING``; imports from
  ``typing`` and ``pydantic``, whose names count where they are used;
- of settings their schema (``settings_schema``): what comes of it is in the fingerprint as a value.
"""

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tasks.contracts import files, paths
from tasks.fingerprint.harmless import Names
from tasks.fingerprint.local_names import number_local_names
from tasks.fingerprint.settings_schema import without_schema

REMEMBERED = paths.STATE / "cache" / "modules.json"
# Errors whose text nobody reads but people. (`StopIteration` has a value, `OSError` a number.)
ERRORS = frozenset({
    "AssertionError", "AttributeError", "IndexError", "KeyError", "NotImplementedError",
    "RuntimeError", "TypeError", "ValueError"
})  # fmt: skip
# Decorators that do not look at annotations.
DECORATORS = frozenset({
    "builtins.property", "builtins.staticmethod", "builtins.classmethod", "functools.lru_cache",
    "functools.cached_property", "functools.cache", "contextlib.contextmanager",
    "typing.override"
})  # fmt: skip
# Importing a name from these does nothing but bind it, which counts where it is used.
_NAMES_ALONE = frozenset({"typing", "collections.abc", "__future__", "pydantic"})
_NEUTRAL = ("tasks.contracts.settings", "NEUTRAL")


def hash_of_source(source: str, schemas: Iterable[str] = ()) -> str:
    """Return a hash that what cannot reach an output does not change.

    Args:
        source: the text of a module.
        schemas: its classes that derive from ``tasks.contracts.settings.Settings``.
    """
    return hash_of_tree(normalised(source, schemas))


def hash_of_tree(*trees: ast.AST) -> str:
    """Return the hash of what is left of a module, or of some of its statements."""
    return hashlib.sha256(_dump(list(trees)).encode()).hexdigest()[:32]


def normalised(source: str, schemas: Iterable[str] = ()) -> ast.Module:
    """Return a module's syntax tree without what cannot reach an output.

    Args:
        source: the text of a module.
        schemas: its classes that derive from ``tasks.contracts.settings.Settings``.
    """
    tree = ast.parse(source)
    names = Names(tree)
    chosen = frozenset(schemas)
    tree.body = [
        without_schema(node, names) if isinstance(node, ast.ClassDef) and node.name in chosen
        else node
        for node in tree.body
    ]  # fmt: skip
    tree = _Normalised(names).visit(tree)
    number_local_names(tree)
    return tree


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

    def __init__(self, names: Names) -> None:
        self._names = names
        self._in_function = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if all(self._origin(decorator) in DECORATORS for decorator in node.decorator_list):
            arguments = [part for part in ast.walk(node.args) if isinstance(part, ast.arg)]
            for part in arguments:
                part.annotation = self._without(part.annotation)
            node.returns = self._without(node.returns)
        outside, self._in_function = self._in_function, True
        self.generic_visit(node)
        self._in_function = outside
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        """The annotations of a class are its fields: they count."""
        outside, self._in_function = self._in_function, False
        self.generic_visit(node)
        self._in_function = outside
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Python does not even evaluate the annotation of a local variable."""
        if self._in_function:
            if node.value is not None:
                assigned = ast.Assign(targets=[node.target], value=node.value)
                return self.generic_visit(assigned)
            node.annotation = ast.Constant(value=None)
        return self.generic_visit(node)

    def _origin(self, decorator: ast.expr) -> str | None:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        return self._names.origin(called.id) if isinstance(called, ast.Name) else None

    def _without(self, annotation: ast.expr | None) -> ast.expr | None:
        if annotation is None or self._names.is_harmless(annotation, may_iterate=False):
            return None
        return annotation

    def visit_If(self, node: ast.If) -> Any:
        """Drop what only a type checker sees."""
        if not isinstance(node.test, ast.Name):
            return self.generic_visit(node)
        if self._names.origin(node.test.id) != "typing.TYPE_CHECKING":
            return self.generic_visit(node)
        return [self.visit(part) for part in node.orelse]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """Drop imports that only bind names, those names being used as they are called there."""
        node.names = [alias for alias in node.names if (node.module, alias.name) != _NEUTRAL]
        renamed = any(alias.asname or alias.name == "*" for alias in node.names)
        only_binds = node.module in _NAMES_ALONE and not node.level and not renamed
        return None if only_binds or not node.names else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Drop the empty text that Python 3.12 puts behind a nested format: it says nothing."""
        node.values = [
            part
            for part in node.values
            if not (isinstance(part, ast.Constant) and part.value == "")
        ]
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Keep which error is raised, not its text, where making that does nothing."""
        error = node.exc
        if (
            isinstance(error, ast.Call)
            and isinstance(error.func, ast.Name)
            and self._is_error(error.func.id)
            and self._names.are_harmless(error, may_iterate=True)
            and (node.cause is None or self._names.is_harmless(node.cause, may_iterate=True))
        ):
            return ast.Raise(exc=error.func, cause=None)
        return self.generic_visit(node)

    def _is_error(self, name: str) -> bool:
        module, _, error = (self._names.origin(name) or "").rpartition(".")
        return module == "tasks.errors" or (module == "builtins" and error in ERRORS)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings, which are strings that stand alone, and calls of ``say``."""
        call = node.value
        if isinstance(call, ast.Constant) and isinstance(call.value, str):
            return None
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and self._names.origin(call.func.id) == "tasks.progress.say"
            and self._names.are_harmless(call, may_iterate=False)
        ):
            return None
        return self.generic_visit(node)


class Remembered:
    """What was computed of each source text, for all processes: 150 syntax trees cost 0.5 s."""

    def __init__(self, defined_in: Path = Path(__file__).parent) -> None:
        """Read what is remembered.

        Args:
            defined_in: the folder of the code that computes it; what another version of it gave
                is forgotten.
        """
        code = [files.sha256(path) for path in sorted(defined_in.glob("*.py"))]
        self._version = f"{sys.version_info[:3]} {files.sha256_of_text(' '.join(code))}"
        self._used: dict[str, Any] = {}
        self._known: dict[str, Any] = {}
        # Another version's, a torn one or none: it is only made again.
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = files.read_json(REMEMBERED)
            if content["version"] == self._version:
                self._known = dict(content["results"])

    def of(self, source: str, what: str, compute: Callable[[str], Any]) -> Any:
        """Return what was computed of a source text, or compute it.

        Args:
            source: the text.
            what: what is computed; the result follows from both alone, and is plain JSON.
            compute: does it.
        """
        key = f"{what} {files.sha256_of_text(source)}"
        if key not in self._used:
            self._used[key] = self._known[key] if key in self._known else compute(source)
        return self._used[key]

    def remember(self) -> None:
        """Write what was used, if any of it is new; a workspace that is read-only is no error."""
        if self._used.keys() <= self._known.keys():
            return
        with suppress(OSError):
            files.write_json(REMEMBERED, {"version": self._version, "results": self._used})
