"""Which expressions do nothing but give a value: the texts of errors and of progress are made so.

The arguments of a ``raise`` and of a ``say`` are left out of a module's hash where they are made of
such expressions alone. One that may do something (a call of anything that is not listed here, a
``:=``, an ``await``) is hashed as it stands.
"""

import ast
import builtins
from collections import Counter
from collections.abc import Iterator

from tasks.fingerprint.local_names import bound_by_statement

# Each gives a value and changes nothing.
FUNCTIONS = frozenset({
    "abs", "bool", "dict", "float", "format", "frozenset", "getattr", "int", "isinstance",
    "issubclass", "len", "list", "max", "min", "range", "repr", "round", "set", "sorted", "str",
    "sum", "tuple", "type", "zip"
})  # fmt: skip
# The same, of texts, mappings, paths and times. (`Path.replace` renames, `Queue.get` takes away.)
METHODS = frozenset({
    "as_posix", "count", "decode", "encode", "endswith", "format", "index", "is_relative_to",
    "isoformat", "items", "keys", "lower", "lstrip", "most_common", "numel", "partition",
    "relative_to", "removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "title", "total_seconds", "upper", "values",
    "with_name", "with_suffix"
})  # fmt: skip
IMPORTED = frozenset(
    {"tasks.errors.one_of", "tasks.errors.told", "pathlib.Path", "pathlib.PurePosixPath"}
)
# These use up what they are given, if that is an iterator.
_ITERATING_FUNCTIONS = frozenset({
    "dict", "frozenset", "list", "max", "min", "set", "sorted", "sum", "tuple", "zip"
})  # fmt: skip
_ITERATING = (ast.Starred, ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)
_PLAIN = (
    ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.JoinedStr,
    ast.FormattedValue, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Tuple,
    ast.List, ast.Set, ast.Dict, ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
    ast.expr_context, ast.keyword, ast.comprehension, ast.Call,
)  # fmt: skip


class Names:
    """What the names of a module mean, as far as its own text says."""

    def __init__(self, tree: ast.Module) -> None:
        self._times_bound = Counter(_bound(tree))
        self._imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and not node.level
            for alias in node.names
        }

    def origin(self, name: str) -> str | None:
        """Return ``<module>.<name>`` of what a name stands for everywhere in the module.

        None where that is bound in the module itself, or more than once. A name that is bound
        nowhere is of ``builtins``.
        """
        if not self._times_bound[name]:
            return f"builtins.{name}" if hasattr(builtins, name) else None
        return self._imported.get(name) if self._times_bound[name] == 1 else None

    def are_harmless(self, call: ast.Call, *, may_iterate: bool) -> bool:
        """Tell whether the arguments of a call do nothing but give a value."""
        parts = [*call.args, *call.keywords]
        return all(self.is_harmless(part, may_iterate=may_iterate) for part in parts)

    def is_harmless(self, node: ast.AST, *, may_iterate: bool) -> bool:
        """Tell whether an expression does nothing but give a value.

        Args:
            node: the expression.
            may_iterate: also if it goes through what may be an iterator, which is used up by that:
                behind a ``raise`` nobody goes on with it; behind a line of progress the code does.
        """
        if not isinstance(node, _PLAIN) and not (may_iterate and isinstance(node, _ITERATING)):
            return False
        if isinstance(node, ast.Call) and not self._calls_harmless(node, may_iterate=may_iterate):
            return False
        return all(
            self.is_harmless(child, may_iterate=may_iterate) for child in ast.iter_child_nodes(node)
        )

    def _calls_harmless(self, call: ast.Call, *, may_iterate: bool) -> bool:
        function = call.func
        if isinstance(function, ast.Attribute):
            if function.attr == "join":  # a thread has one, too
                return may_iterate and isinstance(function.value, ast.Constant)
            return function.attr in METHODS
        if any(keyword.arg == "key" for keyword in call.keywords):
            return False  # which is called
        origin = self.origin(function.id) if isinstance(function, ast.Name) else None
        if origin == "builtins.map" and call.args and isinstance(call.args[0], ast.Name):
            origin = self.origin(call.args[0].id)
            return may_iterate and _builtin(origin) in FUNCTIONS
        if origin in IMPORTED:
            return True
        name = _builtin(origin)
        return name in FUNCTIONS and (may_iterate or name not in _ITERATING_FUNCTIONS)


def _builtin(origin: str | None) -> str:
    module, _, name = (origin or "").rpartition(".")
    return name if module == "builtins" else ""


def _bound(tree: ast.AST) -> Iterator[str]:
    """Yield each name as often as a module binds it, at any place."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case _:
                yield from bound_by_statement(node)
