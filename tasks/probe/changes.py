"""What equal bytes of a short run do not prove: changed code that the run did not execute.

Two states of some modules are compared statement by statement. Each that was changed, added or
removed has to have been executed in the short run of its state, and within it every branch of an
expression that is new (``a if c else b``, ``a or b``, a lambda's body). A definition that moved to
another module, or whose local variables have other names, has not changed. A new function that no
changed statement names cannot be called by what was there before. Lines that the recorded full run
did not execute either, as far as that is known, hide nothing.

A number that changed proves nothing by equal bytes: it may be a limit that the short run does not
reach.
"""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

MODULE_LEVEL = "module level"
CONDITIONS = ("if", "while", "for", "with", "try", "match")
EXITS = ("return", "raise", "continue", "break")
Place = tuple[int, int, int, int]
"""Line, end line, column, end column."""
Executed = Mapping[str, Iterable[Iterable[int]]]
"""The places of the executed instructions, by file (``tasks/training/loop.py``)."""
CACHED = ("tasks.inputs", "tasks.contracts", "tasks.remote")
"""Rooms whose work an earlier run may have left in a cache: not executed does not mean not used."""
SMALL_NUMBERS = (0, 1, 2)
"""Whose limits every short run passes: first and second steps, epochs and records."""


@dataclass(frozen=True)
class Statement:
    """One statement; of a compound one what stands before its body."""

    text: str
    """In one form, whatever its formatting, with the blocks that it stands in."""
    parts: tuple[ast.AST, ...]
    """What is executed when it is; nothing where that leaves no trace (``try:``)."""
    line: int
    block: str = ""
    """The blocks that it stands in (``def/if/for/``)."""

    @property
    def word(self) -> str:
        """What it begins with."""
        return self.text.removeprefix(self.block).partition(" ")[0]

    def ran(self, lines: set[int]) -> bool:
        """Tell whether one of its lines is among some."""
        return not lines.isdisjoint(self.lines)

    @property
    def lines(self) -> range:
        """Its own lines, from the first to the last of what is executed of it."""
        ends = [getattr(part, "end_lineno", self.line) for part in self.parts]
        is_block = any(isinstance(part, ast.FunctionDef | ast.ClassDef) for part in self.parts)
        return range(self.line, (self.line if is_block else max(ends, default=self.line)) + 1)


@dataclass(frozen=True)
class Definition:
    """A function, a method, the rest of a class, or the rest of a module."""

    module: str
    name: str
    statements: tuple[Statement, ...]
    renamed: tuple[str, ...] = field(compare=False, default=())
    """Its statements' texts with local variables numbered."""

    @property
    def node(self) -> ast.AST | None:
        """Its function or class; none of what stands beside them."""
        is_one = self.name != MODULE_LEVEL and self.statements
        return self.statements[0].parts[0] if is_one else None

    @property
    def texts(self) -> list[str]:
        """Its statements as they are compared."""
        return [statement.text for statement in self.statements]

    @property
    def label(self) -> str:
        """What people are told."""
        return f"{self.module}: {self.name}"


@dataclass(frozen=True)
class Tree:
    """One state of the changed modules, and what a short run executed of it.

    Attributes:
        sources: the text of each module; a module that this state has not is left out.
        executed: from the driver's result.
        in_full_run: the lines of functions that the recorded full run executed, by file, if known.
    """

    sources: Mapping[str, str]
    executed: Executed
    in_full_run: Mapping[str, Iterable[int]] | None = None

    def definitions(self) -> list[Definition]:
        """Return what all modules define."""
        return [
            definition
            for module, source in self.sources.items()
            for definition in definitions_of(module, source)
        ]

    def places_of(self, module: str) -> list[Place]:
        """Return the places of a module's executed instructions."""
        path = module.replace(".", "/")
        files = (f"{path}.py", f"{path}/__init__.py")
        return [tuple(place) for file in files for place in self.executed.get(file, ())]  # type: ignore[misc]

    def lines_in_full_run(self, module: str) -> set[int] | None:
        """Return the lines of a module's functions that the full run executed, if known."""
        if self.in_full_run is None or module.startswith(CACHED):
            return None
        path = module.replace(".", "/")
        files = (f"{path}.py", f"{path}/__init__.py")
        return {line for file in files for line in self.in_full_run.get(file, ())}


def not_shown(old: Tree, new: Tree) -> list[str]:
    """Return what keeps equal bytes from clearing a change; nothing if they do clear it.

    Args:
        old: the state that the recorded result was made with.
        new: the state as it is now.
    """
    pairs = _pairs(old.definitions(), new.definitions())
    problems = [f"a number: {text}" for text in _changed_numbers(pairs)]
    required = [item for pair in pairs for item in _required(pair, old, new)]
    unreached = _unreached(pairs, required, new)
    for definition, tree, statements, known in required:
        if definition not in unreached:
            places = tree.places_of(definition.module)
            missing = _not_executed(statements, places, _branch_texts(known))
            if missing:
                problems.append(f"{definition.label} (line {missing.line})")
    return list(dict.fromkeys(problems))


Required = tuple["Definition", Tree, list[Statement], list[Statement]]
"""Statements of a state's definition that have to be executed, and what stood in their place."""


def _required(pair: "Pair", old: Tree, new: Tree) -> Iterator[Required]:
    before, after = pair
    hunks = _hunks(before, after)
    lines = old.lines_in_full_run(before.module) if before else None
    # What was removed and not executed for the recorded result has no part in it.
    removed = [
        [item for item in hunk.removed if lines is None or not _is_inside(item) or item.ran(lines)]
        for hunk in hunks
    ]
    if before and before.name == MODULE_LEVEL and lines == set():
        # The full run has used none of its functions: it may not even have imported it.
        removed = removed if old.places_of(before.module) else [[] for _ in hunks]
    # Neither has what takes the place of that, if no condition around it is another one.
    dead = [_dead_blocks(hunk, lines) for hunk in hunks]
    added = [
        [item for item in hunk.added if not item.block.startswith(blocks)]
        for hunk, blocks in zip(hunks, dead, strict=True)
    ]
    if any(_leads_elsewhere(*sides) for sides in zip(removed, added, strict=True)):
        dead = [() for _ in hunks]
    for hunk, gone, blocks in zip(hunks, removed, dead, strict=True):
        if before and gone:
            yield before, old, gone, hunk.added
        if after:
            places = new.places_of(after.module)
            came = [
                item
                for item in hunk.added
                if not item.block.startswith(blocks) or _any_ran([item], places)
            ]
            if came:
                yield after, new, came, hunk.removed


def _is_inside(statement: Statement) -> bool:
    """Tell whether a statement is inside of a function: what defines one its module executes."""
    return statement.block.startswith("def/")


def _dead_blocks(hunk: "Hunk", lines: set[int] | None) -> tuple[str, ...]:
    """Return the blocks at a change that the recorded full run is known not to have reached.

    That is told by what stood there; of what was only added, by a neighbour in the same block.
    """
    if lines is None:
        return ()
    told = [item for item in [*hunk.removed, *hunk.around] if _is_inside(item)]
    reached = {item.block for item in told if item.ran(lines)}
    return tuple(sorted({item.block for item in told} - reached))


def _leads_elsewhere(removed: list[Statement], added: list[Statement]) -> bool:
    """Tell whether a change decides which other statements are reached."""
    words = [[(item.block, item.word) for item in side] for side in (removed, added)]
    if any(word in CONDITIONS for side in words for _, word in side):
        return True
    exits = [[item for item in side if item[1] in EXITS] for side in words]
    return exits[0] != exits[1]


def _unreached(pairs: list["Pair"], required: list[Required], new: Tree) -> set[Definition]:
    """Return the new functions that no other changed statement names.

    What has not changed cannot call them: they were not there. A method may stand in for one of a
    base class, so it counts only where its class has none.
    """
    bare = {
        (item.module, item.name)
        for item in new.definitions()
        if isinstance(item.node, ast.ClassDef) and not (item.node.bases or item.node.keywords)
    }
    unreached = {
        after
        for before, after in pairs
        if before is None
        and after is not None
        and isinstance(after.node, ast.FunctionDef)
        and not after.name.rpartition(".")[2].startswith("__")
        and ("." not in after.name or (after.module, after.name.partition(".")[0]) in bare)
        and not _any_ran(list(after.statements[1:]), new.places_of(after.module))
    }
    while True:
        named = {
            name
            for definition, tree, statements, _ in required
            if tree is new and definition not in unreached
            for statement in statements
            for name in _names_in(statement.parts)
        }
        reached = {item for item in unreached if item.name.rpartition(".")[2] in named}
        if not reached:
            return unreached
        unreached -= reached


def _names_in(parts: Iterable[ast.AST]) -> Iterator[str]:
    for part in parts:
        is_block = isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(_without_body(part) if is_block else part):
            if isinstance(node, ast.Name):
                yield node.id
            elif isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def changed(old: Tree, new: Tree) -> list[str]:
    """Name the definitions that differ between two states."""
    pairs = _pairs(old.definitions(), new.definitions())
    return sorted({(after or before).label for before, after in pairs if after or before})  # type: ignore[union-attr]


Pair = tuple[Definition | None, Definition | None]
SHORTEST_MOVED = 3
"""Statements of a definition that is known again under another name; a shorter one is like many."""

# By what a definition is found again, and whether it has then not changed.
_RULES: tuple[tuple[Callable[[Definition], tuple[str, ...]], bool], ...] = (
    (lambda item: (item.module, item.name, *item.texts), True),
    (lambda item: (item.module, item.name, *item.renamed), True),
    (lambda item: (item.name, *item.renamed), True),
    (lambda item: item.renamed if len(item.renamed) >= SHORTEST_MOVED else (), True),
    (lambda item: (item.module, item.name), False),
    (lambda item: () if item.name == MODULE_LEVEL else (item.name,), False),
)


def _pairs(old: list[Definition], new: list[Definition]) -> list[Pair]:
    """Return which definition became which; those that are the same are left out."""
    pairs: list[Pair] = []
    for key, is_same in _RULES:
        waiting: dict[tuple[str, ...], list[Definition]] = {}
        for item in old:
            waiting.setdefault(key(item), []).append(item)
        left = []
        for item in new:
            candidates = waiting.get(key(item)) if key(item) else None
            if candidates:
                before = candidates.pop(0)
                if not is_same:
                    pairs.append((before, item))
            else:
                left.append(item)
        old, new = [item for items in waiting.values() for item in items], left
    pairs += [(item, None) for item in old]
    pairs += [(None, item) for item in new]
    return _without_moved_lines(pairs)


def _without_moved_lines(pairs: list[Pair]) -> list[Pair]:
    """Take what stands at the level of modules out of both states where it only moved."""
    before = Counter(_level_texts(old for old, _ in pairs))
    after = Counter(_level_texts(new for _, new in pairs))
    same = before & after

    def left(item: Definition | None, taken: Counter[str]) -> Definition | None:
        if item is None or item.name != MODULE_LEVEL:
            return item
        kept = []
        for statement in item.statements:
            if taken[statement.text] > 0:
                taken[statement.text] -= 1
            else:
                kept.append(statement)
        return Definition(item.module, item.name, tuple(kept))

    taken_before, taken_after = Counter(same), Counter(same)
    return [(left(old, taken_before), left(new, taken_after)) for old, new in pairs]


def _level_texts(items: Iterable[Definition | None]) -> Iterator[str]:
    for item in items:
        if item is not None and item.name == MODULE_LEVEL:
            yield from item.texts


@dataclass(frozen=True)
class Hunk:
    """Neighbouring statements of a definition that became others."""

    removed: list[Statement]
    added: list[Statement]
    around: list[Statement]
    """What stands before and after them in the old state, unchanged."""


def _hunks(before: Definition | None, after: Definition | None) -> list[Hunk]:
    old = list(before.statements) if before else []
    new = list(after.statements) if after else []
    matcher = SequenceMatcher(
        None, [item.text for item in old], [item.text for item in new], autojunk=False
    )
    return [
        Hunk(
            old[old_start:old_end],
            new[new_start:new_end],
            [*old[max(0, old_start - 1) : old_start], *old[old_end : old_end + 1]],
        )
        for what, old_start, old_end, new_start, new_end in matcher.get_opcodes()
        if what != "equal"
    ]


def _any_ran(statements: list[Statement], places: list[Place]) -> bool:
    return any(_ran(part, places) for statement in statements for part in statement.parts)


def _not_executed(
    statements: list[Statement], places: list[Place], known: Counter[str]
) -> Statement | None:
    """Return the first statement of which not all that is new was executed."""
    for statement in statements:
        if statement.parts and not any(_ran(part, places) for part in statement.parts):
            return statement
        for branch in _branches(statement.parts):
            text = ast.unparse(branch)
            if known[text] > 0:
                known[text] -= 1
            elif not _ran(branch, places):
                return statement
    return None


def _ran(node: ast.AST, places: list[Place]) -> bool:
    start = (node.lineno, node.col_offset)  # type: ignore[attr-defined]
    end = (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        # Making it is placed on all of it; its decorators and defaults come before its body.
        first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
        return any(first <= line < node.body[0].lineno or line == first for line, *_ in places)
    return any(
        start <= (line, column) and (end_line, end_column) <= end
        for line, end_line, column, end_column in places
    )


def _branches(parts: Iterable[ast.AST]) -> Iterator[ast.expr]:
    """Yield the expressions in a statement that are not evaluated whenever it is executed."""
    for part in parts:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for node in ast.walk(part):
            if isinstance(node, ast.IfExp):
                yield from (node.body, node.orelse)
            elif isinstance(node, ast.BoolOp):
                yield from node.values[1:]
            elif isinstance(node, ast.Lambda):
                yield node.body
            elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
                yield node.elt
            elif isinstance(node, ast.DictComp):
                yield from (node.key, node.value)
            elif isinstance(node, ast.Compare):
                yield from node.comparators[1:]


def _branch_texts(statements: list[Statement]) -> Counter[str]:
    return Counter(
        ast.unparse(branch) for statement in statements for branch in _branches(statement.parts)
    )


def _changed_numbers(pairs: list[Pair]) -> list[str]:
    """Name numbers that stand in what was removed and not in what was added, or the reverse."""
    removed: Counter[str] = Counter()
    added: Counter[str] = Counter()
    for before, after in pairs:
        for hunk in _hunks(before, after):
            for statement in hunk.removed:
                removed.update(_numbers(statement.parts))
            for statement in hunk.added:
                added.update(_numbers(statement.parts))
    return [
        *(f"{number} is gone" for number in removed - added),
        *(f"{number} is new" for number in added - removed),
    ]


def _numbers(parts: Iterable[ast.AST]) -> Iterator[str]:
    for part in parts:
        is_block = isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(_without_body(part) if is_block else part):
            if isinstance(node, ast.Constant) and _is_large(node.value):
                yield repr(node.value)


def _is_large(value: object) -> bool:
    is_number = isinstance(value, int | float | complex) and not isinstance(value, bool)
    return is_number and value not in SMALL_NUMBERS


def definitions_of(module: str, source: str) -> list[Definition]:
    """Return the functions, methods and classes of a module, and what stands beside them."""
    found: list[Definition] = []
    rest: list[ast.stmt] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(_definition(module, node.name, node))
        elif isinstance(node, ast.ClassDef):
            found += _of_class(module, node)
        else:
            rest.append(node)
    statements = tuple(_statements(rest, ""))
    texts = tuple(statement.text for statement in statements)
    return [*found, Definition(module, MODULE_LEVEL, statements, texts)]


def _of_class(module: str, node: ast.ClassDef) -> list[Definition]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    found = [
        _definition(module, f"{node.name}.{item.name}", item)
        for item in node.body
        if isinstance(item, kinds)
    ]
    own = copy.copy(node)
    own.body = [item for item in node.body if not isinstance(item, kinds)] or [ast.Pass()]
    for item in own.body:
        if isinstance(item, ast.Pass) and not hasattr(item, "lineno"):
            ast.copy_location(item, node.body[0])
    statements = tuple(_statements([own], ""))
    texts = tuple(statement.text for statement in statements)
    return [Definition(module, node.name, statements, texts), *found]


def _definition(module: str, name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Definition:
    statements = tuple(_statements([node], ""))
    renamed = _with_numbered_locals(node)
    return Definition(
        module, name, statements, tuple(item.text for item in _statements([renamed], ""))
    )


def _with_numbered_locals(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """Return a function in which the names that it binds itself are numbered, in order."""
    names: dict[str, str] = {}
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
    kept: set[str] = set()

    def visit(item: ast.AST) -> None:
        if isinstance(item, ast.Name) and item.id in ("locals", "vars", "eval", "exec"):
            kept.add("*")
        if isinstance(item, ast.Global | ast.Nonlocal):
            kept.update(item.names)
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            names.setdefault(item.id, f"_{len(names)}")
        for child in ast.iter_child_nodes(item):
            if not isinstance(child, inner):
                visit(child)

    arguments = node.args
    for argument in (*arguments.posonlyargs, *arguments.args):
        names.setdefault(argument.arg, f"_{len(names)}")
    for statement in node.body:
        if not isinstance(statement, inner):
            visit(statement)
    if "*" in kept:
        return node
    numbered = copy.deepcopy(node)
    numbered.name = "_"
    for item in ast.walk(numbered):
        if isinstance(item, ast.Name) and item.id in names and item.id not in kept:
            item.id = names[item.id]
        elif isinstance(item, ast.arg) and item.arg in names and item.arg not in kept:
            item.arg = names[item.arg]
    return numbered


def _statements(body: Iterable[ast.stmt], where: str) -> Iterator[Statement]:
    """Yield all statements of a block, and of the blocks in it, in their order."""
    for node in body:
        if _says_nothing(node):
            continue
        text, parts, blocks = _header(node)
        yield Statement(f"{where}{text}", parts, getattr(node, "lineno", 0), where)
        for name, block in blocks:
            yield from _statements(block, f"{where}{name}/")


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.If) and not node.orelse:
        return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    return isinstance(node, ast.Pass | ast.Global | ast.Nonlocal)


Blocks = list[tuple[str, list[ast.stmt]]]


def _header(node: ast.stmt) -> tuple[str, tuple[ast.AST, ...], Blocks]:  # noqa: PLR0911 - a kind each
    """Return a statement's text without its blocks, what is executed of it, and the blocks."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        kind = "class" if isinstance(node, ast.ClassDef) else "def"
        return ast.unparse(_without_body(node)), (node,), [(kind, node.body)]
    if isinstance(node, ast.If | ast.While):
        kind = type(node).__name__.lower()
        blocks: Blocks = [(kind, node.body), ("else", node.orelse)]
        return f"{kind} {ast.unparse(node.test)}", (node.test,), blocks
    if isinstance(node, ast.For | ast.AsyncFor):
        text = f"for {ast.unparse(node.target)} in {ast.unparse(node.iter)}"
        return text, (node.iter,), [("for", node.body), ("else", node.orelse)]
    if isinstance(node, ast.With | ast.AsyncWith):
        text = f"with {', '.join(ast.unparse(item) for item in node.items)}"
        return text, tuple(item.context_expr for item in node.items), [("with", node.body)]
    if isinstance(node, ast.Try | ast.TryStar):
        blocks = [("try", node.body)]
        for handler in node.handlers:
            kind = ast.unparse(handler.type) if handler.type else ""
            blocks.append((f"except {kind}", handler.body))
        kinds = ", ".join(name for name, _ in blocks[1:])
        more: Blocks = [("else", node.orelse), ("finally", node.finalbody)]
        return f"try {kinds}", (), [*blocks, *more]
    if isinstance(node, ast.Match):
        blocks = []
        for case in node.cases:
            guard = f" if {ast.unparse(case.guard)}" if case.guard else ""
            blocks.append((f"case {ast.unparse(case.pattern)}{guard}", case.body))
        text = f"match {ast.unparse(node.subject)} {', '.join(name for name, _ in blocks)}"
        return text, (node.subject,), blocks
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return f"raise {ast.unparse(raised) if raised else ''}", (node,), []
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return ast.unparse(node), (), []
    return ast.unparse(node), (node,), []


def _without_body(node: ast.AST) -> ast.AST:
    bare = copy.copy(node)
    bare.body = [ast.Pass()]  # type: ignore[attr-defined]
    return bare
