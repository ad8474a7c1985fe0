"""What of a settings class is schema, and what is code.

The resolved values of a row's settings are in its fingerprint, so what only decides or checks them
need not be hashed: fields with their types, defaults and bounds, and validators that only check.
All else in such a class is code that a stage may call, and is hashed: methods, properties,
``parse``, and validators that give another value than they get.
"""

import ast

from tasks.fingerprint.harmless import Names

# How a fingerprint is made: what they give stands in its lines, and no stage calls them (a test).
FOR_FINGERPRINTS = frozenset(
    {
        "modules",
        "neutral",
        "num_devices",
        "num_training_processes",
        "reads",
        "takes_fewer_devices",
        "__pydantic_init_subclass__",
    }
)
VALIDATORS = frozenset({"pydantic.field_validator", "pydantic.model_validator"})


def without_schema(node: ast.ClassDef, names: Names) -> ast.ClassDef:
    """Return a settings class without its schema.

    Args:
        node: the class; it is left as it is.
        names: those of its module.
    """
    body = [part for part in node.body if not _is_schema(part, names)]
    return ast.ClassDef(**{**dict(ast.iter_fields(node)), "body": body or [ast.Pass()]})


def _is_schema(node: ast.stmt, names: Names) -> bool:
    if isinstance(node, ast.AnnAssign):
        return _is_field(node, names)
    if isinstance(node, ast.FunctionDef):
        return node.name in FOR_FINGERPRINTS or _only_checks(node, names)
    return isinstance(node, ast.Pass)


def _is_field(node: ast.AnnAssign, names: Names) -> bool:
    """Tell whether a line is a field; a private or a class variable is none for pydantic."""
    if not isinstance(node.target, ast.Name) or node.target.id.startswith("_"):
        return False
    if any(isinstance(part, ast.Name) and part.id == "ClassVar" for part in ast.walk(node)):
        return False
    return node.value is None or _is_default(node.value, names)


def _is_default(value: ast.expr, names: Names) -> bool:
    """Tell whether a field's value is ``Field(…)``, a section's settings, or a plain value."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        name = value.func.id
        if names.origin(name) == "pydantic.Field" or name.endswith("Settings"):
            given = [*value.args, *(keyword.value for keyword in value.keywords)]
            return all(_is_default(part, names) for part in given)
    return names.is_harmless(value, may_iterate=False)


def _only_checks(node: ast.FunctionDef, names: Names) -> bool:
    """Tell whether a validator gives what it gets, or an error, and does nothing else."""
    decorators = [_called(decorator) for decorator in node.decorator_list]
    origins = {names.origin(name) if name else None for name in decorators}
    arguments = [argument.arg for argument in node.args.args]
    if not origins & VALIDATORS or not origins <= {*VALIDATORS, "builtins.classmethod"}:
        return False
    return bool(arguments) and all(_does_nothing(part, arguments[-1], names) for part in node.body)


def _called(decorator: ast.expr) -> str:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return function.id if isinstance(function, ast.Name) else ""


def _does_nothing(node: ast.stmt, value: str, names: Names) -> bool:
    """Tell whether a statement of a validator only checks the argument ``value``."""
    match node:
        case ast.Return(value=ast.Name(id=given)):
            return given == value
        case ast.If():
            parts = [*node.body, *node.orelse]
            return names.is_harmless(node.test, may_iterate=True) and all(
                _does_nothing(part, value, names) for part in parts
            )
        case ast.Raise(exc=ast.Call() as error):
            return names.are_harmless(error, may_iterate=True)
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name(id=local)]):
            return local != value and names.is_harmless(node.value, may_iterate=True)
    return False
