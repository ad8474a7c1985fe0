"""Which function of a changed module changed: the hashes of its definitions, kept by its own hash.

A fingerprint names a module and the hash of its syntax tree. The hashes of what the module defines
lie in ``.downstream/definitions/<hash of the module>.json``: no output of DVC, since nothing
depends on them, and written once for each state of a module.
"""

import ast
from pathlib import Path

from tasks.contracts import files, paths
from tasks.fingerprint.libraries import LIBRARY_LINE
from tasks.fingerprint.rows import ROW_LINE, SETTINGS_LINE, module_source
from tasks.fingerprint.syntax_hash import hash_of_source

DEFINITIONS = paths.STATE / "definitions"
MODULE_LEVEL = "module level"


def keep_definitions(code: str, root: Path) -> None:
    """Keep the definitions of every module of a fingerprint, as they lie on disk now.

    Args:
        code: the text of ``data/code/<stage>/<row>.txt``.
        root: the repository's root.
    """
    for line in code.splitlines():
        module, _, known = line.partition(" ")
        # A path is no module: it is the checkpoint that a backbone starts from, or its pin.
        no_module = module in (SETTINGS_LINE, ROW_LINE) or module.startswith(LIBRARY_LINE)
        if no_module or "/" in module or _kept(known).exists():
            continue
        source = module_source(root, module).read_text(encoding="utf-8")
        if hash_of_source(source) == known:
            files.write_json(_kept(known), definitions(source))


def definitions(source: str) -> dict[str, str]:
    """Return the hash of each top-level function, class and method of a module, by name.

    What stands outside of them (constants, imports) is one entry, ``module level``.
    """
    tree = ast.parse(source)
    hashes: dict[str, str] = {}
    rest: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            hashes[node.name] = _hash(node)
        elif isinstance(node, ast.ClassDef):
            hashes.update(_of_class(node))
        else:
            rest.append(node)
    return {**hashes, MODULE_LEVEL: _hash(*rest)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    methods = [item for item in node.body if isinstance(item, kinds)]
    own = ast.ClassDef(
        name=node.name,
        bases=node.bases,
        keywords=node.keywords,
        body=[item for item in node.body if item not in methods] or [ast.Pass()],
        decorator_list=node.decorator_list,
    )
    named = {f"{node.name}.{method.name}": _hash(method) for method in methods}
    return {node.name: _hash(own), **named}


def _hash(*nodes: ast.stmt) -> str:
    return hash_of_source(ast.unparse(ast.Module(body=list(nodes), type_ignores=[])))


def changed_definitions(
    module: str, old: str | None, new: str | None, root: Path
) -> tuple[str, ...]:
    """Name what differs between the recorded and the present state of a module.

    Args:
        module: the module as it lies on disk.
        old: the recorded hash; its definitions may have been kept.
        new: the present hash.
        root: the repository's root.

    Returns:
        Functions, classes and methods, sorted; nothing where the recorded ones are not known.
    """
    if not old or not new:
        return ()
    try:
        before = files.read_json(_kept(old))
        after = definitions(module_source(root, module).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        # A hint that was never kept, or is torn: the module's name is still told.
        return ()
    return tuple(sorted(n for n in {*before, *after} if before.get(n) != after.get(n)))


def _kept(module_hash: str) -> Path:
    return DEFINITIONS / f"{module_hash}.json"
