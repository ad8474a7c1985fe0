"""What the text of a module refers to: modules, the bases of its classes, files.

All of it follows from the text alone, so that it is computed once a text; where a relative import
leads, and which of the names exist, is decided by ``modules``.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import TypedDict

from tasks.fingerprint.harmless import Names

# Each runs code that no import statement names.
DYNAMIC = frozenset({
    "import_module", "__import__", "spec_from_file_location", "run_module", "run_path",
    "exec_module"
})  # fmt: skip
DYNAMIC_BUILTINS = frozenset({"exec", "eval"})
LONGEST_FILE_NAME = 200


class Import(TypedDict):
    """One import statement."""

    level: int
    """How many dots stand before the module."""
    module: str
    names: list[str]
    """What is taken from it: modules perhaps, or what they define."""


class References(TypedDict):
    """What a source text refers to; plain JSON."""

    imports: list[Import]
    dynamic: list[int]
    """Lines that import what no constant names."""
    bases: dict[str, list[str]]
    """By class, its bases: a class of the same module by name, others by ``<module>.<name>``."""
    file_names: list[str]
    """Constants that could name a file."""


def references(source: str) -> References:
    """Return what a source text refers to when it runs; imports for type checkers are left out."""
    tree = ast.parse(source)
    names = Names(tree)
    found = References(imports=[], dynamic=[], bases={}, file_names=[])
    texts: set[str] = set()
    for node in _run(tree, names):
        match node:
            case ast.Import():
                found["imports"] += [
                    Import(level=0, module=alias.name, names=[]) for alias in node.names
                ]
            case ast.ImportFrom():
                taken = [alias.name for alias in node.names]
                if node.module == "importlib" and any(
                    alias.asname and alias.name in DYNAMIC for alias in node.names
                ):
                    found["dynamic"].append(node.lineno)
                found["imports"].append(
                    Import(level=node.level, module=node.module or "", names=taken)
                )
            case ast.Call():
                module = _dynamic(node)
                if module:
                    found["imports"].append(Import(level=0, module=module, names=[]))
                elif module is not None:
                    found["dynamic"].append(node.lineno)
            case ast.Constant(value=str(text)) if _could_name_a_file(text):
                texts.add(text)
    found["file_names"] = sorted(texts)
    found["bases"] = {
        node.name: [base for base in map(_Bases(tree, names).name, node.bases) if base]
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    return found


def _run(node: ast.AST, names: Names) -> Iterator[ast.AST]:
    """Yield the nodes of a module that may run."""
    match node:
        case ast.If(test=ast.Name(id=name)) if names.origin(name) == "typing.TYPE_CHECKING":
            parts: Iterable[ast.AST] = node.orelse
        case _:
            yield node
            parts = ast.iter_child_nodes(node)
    for part in parts:
        yield from _run(part, names)


def _dynamic(call: ast.Call) -> str | None:
    """Return the module that a call imports; empty where that is no constant, None if none."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    if isinstance(function, ast.Name):
        name = function.id
        if name in DYNAMIC_BUILTINS:
            return ""
    if name not in DYNAMIC:
        return None
    first = call.args[0] if len(call.args) == 1 and not call.keywords else None
    if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
        return str(first.value)
    return ""


def _could_name_a_file(text: str) -> bool:
    plain = 2 < len(text) <= LONGEST_FILE_NAME and text.isprintable()
    return plain and ("." in text or "/" in text) and text.strip("./") != ""


class _Bases:
    """The full names of classes that a module derives from."""

    def __init__(self, tree: ast.Module, names: Names) -> None:
        self._names = names
        self._modules = {
            alias.asname or alias.name.partition(".")[0]: alias.name
            if alias.asname
            else alias.name.partition(".")[0]
            for node in tree.body
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        self._classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}

    def name(self, base: ast.expr) -> str:
        """Return ``<module>.<name>``, the name of a class of the same module, or nothing."""
        if isinstance(base, ast.Subscript):
            return self.name(base.value)
        if isinstance(base, ast.Attribute):
            of = self.name(base.value)
            return f"{of}.{base.attr}" if of else ""
        if not isinstance(base, ast.Name):
            return ""
        if base.id in self._classes or base.id in self._modules:
            return self._modules.get(base.id, base.id)
        return self._names.origin(base.id) or ""
