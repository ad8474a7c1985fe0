"""Which function of a changed module changed: the hashes of its definitions, kept by its own hash.

A fingerprint names a module and the hash of its syntax tree. The hashes of what the module defines
lie in ``.downstream/definitions/<hash of the module>.json``: no output of DVC, since nothing
depends on them, and written once for each state of a module.
"""

import ast
from collections.abc import Iterable
from pathlib import Path

from tasks.contracts import files, paths
from tasks.errors import BadInput
from tasks.fingerprint.libraries import LIBRARY_LINE
from tasks.fingerprint.modules import Code
from tasks.fingerprint.rows import ROW_LINE, SETTINGS_LINE
from tasks.fingerprint.syntax_hash import hash_of_source, hash_of_tree, normalised

DEFINITIONS = paths.STATE / "definitions"
MODULE_LEVEL = "module level"


def keep_definitions(code: str, root: Path, snapshot: Path | None = None) -> None:
    """Keep the definitions of every module of a fingerprint, as they lie on disk now.

    Args:
        code: the text of ``data/code/<stage>/<row>.txt``.
        root: the repository's root.
        snapshot: a snapshot's folder, whose modules are looked at in place of the repository's.
    """
    on_disk = Code(root, snapshot)
    for line in code.splitlines():
        module, _, known = line.partition(" ")
        # A path is no module: it is a file beside one, or what a backbone starts from.
        no_module = module in (SETTINGS_LINE, ROW_LINE) or module.startswith(LIBRARY_LINE)
        if no_module or "/" in module or _kept(known).exists():
            continue
        found = _definitions_of(on_disk, module, known)
        if found is not None:
            files.write_json(_kept(known), found)


def _definitions_of(code: Code, module: str, module_hash: str) -> dict[str, str] | None:
    """Return a module's definitions as they lie on disk; None if they have another hash by now."""
    source = code.source_of(module)
    # A row may hash settings with or without their schema.
    for schemas in (code.schemas_of(module), []):
        if hash_of_source(source, schemas) == module_hash:
            return definitions(source, schemas)
    return None


def definitions(source: str, schemas: Iterable[str] = ()) -> dict[str, str]:
    """Return the hash of each top-level function, class and method of a module, by name.

    What stands outside of them (constants, imports) is one entry, ``module level``.

    Args:
        source: the text of a module.
        schemas: its classes that derive from ``tasks.contracts.settings.Settings``.
    """
    hashes: dict[str, str] = {}
    rest: list[ast.stmt] = []
    for node in normalised(source, schemas).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            hashes[node.name] = hash_of_tree(node)
        elif isinstance(node, ast.ClassDef):
            hashes.update(_of_class(node))
        else:
            rest.append(node)
    return {**hashes, MODULE_LEVEL: hash_of_tree(*rest)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    methods = [item for item in node.body if isinstance(item, kinds)]
    own = ast.ClassDef(
        name=node.name,
        bases=node.bases,
        keywords=node.keywords,
        body=[item for item in node.body if item not in methods],
        decorator_list=node.decorator_list,
    )
    named = {f"{node.name}.{method.name}": hash_of_tree(method) for method in methods}
    return {node.name: hash_of_tree(own), **named}


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
        code = Code(root)
        after = _definitions_of(code, module, new)
        if after is None:  # edited since; or the workspace hashes modules in a way of its own
            after = definitions(code.source_of(module), code.schemas_of(module))
    except (OSError, ValueError, SyntaxError, BadInput):
        # A hint that was never kept, or is torn: the module's name is still told.
        return ()
    return tuple(sorted(n for n in {*before, *after} if before.get(n) != after.get(n)))


def _kept(module_hash: str) -> Path:
    return DEFINITIONS / f"{module_hash}.json"
