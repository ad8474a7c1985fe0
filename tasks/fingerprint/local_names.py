"""Local variables by number, so that renaming one changes no hash.

A function with other names for its local variables is the same function: nothing outside sees
them. Each becomes its number, in the order in which they are bound; a digit is no name that code
could have. Parameters keep their names (a caller may use them), and so does all that a function
shares with others: globals, imports, nested functions and classes. Where names themselves can be
read (``locals()``, ``eval``, a query with ``@name``), all keep theirs.
"""

import ast
from collections.abc import Iterable, Iterator
from itertools import count

_READ_NAMES = frozenset({"locals", "vars", "eval", "exec", "dir", "globals"})
_QUERIES = frozenset({"query", "eval"})
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp
_SCOPES = (Function, ast.ClassDef)


def number_local_names(tree: ast.Module) -> None:
    """Replace the names of local variables by numbers, in place."""
    _Numbering({}, None).visit(tree)


class _Numbering(ast.NodeVisitor):
    """The names as one scope sees them."""

    def __init__(self, numbers: dict[str, str], counter: Iterator[int] | None) -> None:
        """Begin a scope.

        Args:
            numbers: what names are called in it; all others keep their own.
            counter: gives the next number; None outside of functions, each of which begins anew.
        """
        self._numbers = numbers
        self._counter = counter

    def visit_Name(self, node: ast.Name) -> None:
        node.id = self._numbers.get(node.id, node.id)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._enter_function(node, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._enter_function(node, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._enter_function(node, [node.body])

    def _enter_function(self, node: Function, body: list[ast.stmt] | list[ast.expr]) -> None:
        inside = {id(part) for part in body}
        for part in ast.iter_child_nodes(node):
            if id(part) not in inside:
                self.visit(part)  # decorators, defaults and annotations are evaluated outside
        kept = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
        for part in body:
            kept |= set(_shared(part))
        bound = [] if any(map(_reads_names, body)) else _bound(body)
        scope = self._inner((name for name in bound if not name.startswith("__")), kept)
        for part in body:
            scope.visit(part)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._enter_comprehension(node, [node.elt])

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._enter_comprehension(node, [node.elt])

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._enter_comprehension(node, [node.elt])

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._enter_comprehension(node, [node.key, node.value])

    def _enter_comprehension(self, node: Comprehension, values: list[ast.expr]) -> None:
        self.visit(node.generators[0].iter)  # it is evaluated outside
        bound = [] if _reads_names(node) else _bound(g.target for g in node.generators)
        scope = self._inner(bound, set(_shared(node)))
        for number, generator in enumerate(node.generators):
            scope.visit(generator.target)
            if number:
                scope.visit(generator.iter)
            for condition in generator.ifs:
                scope.visit(condition)
        for value in values:
            scope.visit(value)

    def _inner(self, bound: Iterable[str], kept: set[str]) -> "_Numbering":
        """Return the scope of a function or comprehension.

        Args:
            bound: the names that are bound in it.
            kept: those that keep their names.
        """
        counter = self._counter or count()
        numbers = dict(self._numbers)
        for name in dict.fromkeys(bound):
            if name not in kept:
                numbers[name] = str(next(counter))
        return _Numbering({**numbers, **{name: name for name in kept}}, counter)


def _bound(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the variables that statements or targets bind in their own scope, in their order."""
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, Comprehension):
            # Its targets are its own, but a `:=` in it binds outside.
            yield from (
                part.target.id for part in ast.walk(node) if isinstance(part, ast.NamedExpr)
            )
        elif not isinstance(node, _SCOPES):
            yield from _bound(ast.iter_child_nodes(node))


def _shared(tree: ast.AST) -> Iterator[str]:
    """Yield the names that are not local variables alone, at any depth."""
    for node in ast.walk(tree):
        yield from bound_by_statement(node)
        if isinstance(node, ast.ClassDef):
            yield from (part.id for part in ast.walk(node) if isinstance(part, ast.Name))


def bound_by_statement(node: ast.AST) -> Iterator[str]:
    """Yield the names that one node binds or declares otherwise than by an assignment to them."""
    match node:
        case ast.Global() | ast.Nonlocal():
            yield from node.names
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.alias():
            yield (node.asname or node.name).partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name


def _reads_names(tree: ast.AST) -> bool:
    """Tell whether code may look variables up by name."""
    nodes = list(ast.walk(tree))
    if any(isinstance(node, ast.Name) and node.id in _READ_NAMES for node in nodes):
        return True
    asks = any(isinstance(node, ast.Attribute) and node.attr in _QUERIES for node in nodes)
    texts = (node.value for node in nodes if isinstance(node, ast.Constant))
    return asks and any(isinstance(text, str) and "@" in text for text in texts)
