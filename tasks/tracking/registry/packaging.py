"""A model as MLflow keeps it: weights, the code that reads them, and what that code needs.

The code goes with the model as a package of its own, ``downstream_model_<hash>``: a copy of the
modules that the classifier of its architecture imports, directly or not, with their imports
renamed. A model then runs with the code it was registered with, beside models with other code, and
whatever else is called ``tasks`` where it is loaded. No object is pickled.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from tasks.contracts import files

TASKS = Path(__file__).parents[2]
WIDE_PART = "wide.safetensors"
"""What lies in the folder of a model that has a linear part on n-grams."""
OWN_NAME = re.compile(r"\btasks(?=\.[a-z])|(?<=\bfrom )tasks(?= import\b)")
SERVED_MODEL = Path(__file__).with_name("served_model.py")
REQUIRED_BY_SERVED_MODEL = ("mlflow", "numpy", "pandas")


def log_model(folder: Path, run_id: str) -> str:
    """Log a model folder to a run as a ``pyfunc`` model, and return the logged model's id.

    Args:
        folder: a copy of ``data/finetune/<model>/model``.
        run_id: the run it belongs to.
    """
    import mlflow

    about = files.read_json(folder / "downstream.json")
    modality = about["modality"]
    head = about.get("head")
    modules = reached_modules(
        about["architecture"], has_wide_part=(folder / WIDE_PART).exists(), head=head
    )
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        # MLflow warns of its own type hints.
        warnings.simplefilter("ignore", UserWarning)
        package = package_code(Path(temporary), modules)
        with _importable(package), mlflow.start_run(run_id):
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL),
                code_paths=[str(package)],
                artifacts={"model": str(folder)},
                model_config={
                    "package": package.name,
                    "modality": modality,
                    **({} if head is None else {"head": head}),
                },
                signature=_signature(modality, _columns(about)),
                input_example=_example(modality, len(about.get("reads", ["text"]))),
                pip_requirements=requirements(modules),
            )
    return str(logged.model_id)


def reached_modules(
    architecture: str, *, has_wide_part: bool = False, head: str | None = None
) -> set[str]:
    """Return the modules that a model imports, directly or not: ours, and others' packages.

    Args:
        architecture: the key of its architecture.
        has_wide_part: whether it has a linear part on n-grams, too.
        head: the name of its head, where that is another than classification.
    """
    import grimp

    graph = grimp.build_graph(
        "tasks",
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )
    if not has_wide_part:
        graph.remove_module("tasks.models.wide")  # and with it scikit-learn
    roots = ["tasks.models.classifier", f"tasks.models.architectures.{architecture}"]
    if head is not None:
        roots += ["tasks.heads._model", f"tasks.heads.{head}"]
    return set(roots).union(*map(graph.find_upstream_modules, roots))


def package_code(folder: Path, modules: set[str]) -> Path:
    """Write the code that reads a model as a package, named by its content.

    Args:
        folder: where the package is written.
        modules: what ``reached_modules`` has found.

    Returns:
        The package's folder.
    """
    names = [name.split(".")[1:] for name in modules if name.startswith("tasks.")]
    own = [Path(*name).with_suffix(".py") for name in names]
    code = {path: (TASKS / path).read_text(encoding="utf-8") for path in own}
    # What makes them a package; the text of ours is about the project.
    code |= {parent / "__init__.py": "" for path in own for parent in path.parents}
    sources = {path.as_posix(): source for path, source in code.items()}
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:12]
    package = folder / f"downstream_model_{digest}"
    for name, source in sources.items():
        files.write_text(package / name, OWN_NAME.sub(package.name, source))
    return package


def requirements(modules: set[str]) -> list[str]:
    """Return what a model must be installed with, at today's versions.

    Args:
        modules: what ``reached_modules`` has found; those of Python itself need no installation.
    """
    distributions = _distributions()
    imported = (one for name in modules for one in distributions.get(name, []) if name != "tasks")
    # A local version, such as torch's "+cpu", names a build that other machines may not have.
    return [
        f"{name}=={version(name).partition('+')[0]}"
        for name in sorted({*REQUIRED_BY_SERVED_MODEL, *imported})
    ]


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Return what is installed by the names that are imported; every package's files are read."""
    return packages_distributions()


@contextmanager
def _importable(package: Path) -> Iterator[None]:
    # MLflow tries the model in this process, from a folder that is removed afterwards.
    before = list(sys.path)
    sys.path.insert(0, str(package.parent))
    try:
        yield
    finally:
        sys.path[:] = before
        for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
            del sys.modules[name]


def _columns(about: dict[str, Any]) -> dict[str, str]:
    """Return the columns that a model answers with, and the type of each."""
    if "served" in about:
        columns: dict[str, str] = about["served"]
        return columns
    scores = {f"score_{label}": "double" for label in about["labels"]}
    return {"label": "string", "score": "double", **scores}


def _signature(modality: str, columns: dict[str, str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array, Map, Object, Property

    span = {"start": DataType.long, "end": DataType.long}
    span |= {"label": DataType.string, "text": DataType.string}
    lists: dict[str, Any] = {
        "strings": Array(DataType.string),
        "scores": Map(DataType.double),
        "spans": Array(Object([Property(name, kind) for name, kind in span.items()])),
    }
    signature = ModelSignature(
        inputs=Schema([ColSpec("string" if modality == "text" else "binary")]),
        outputs=Schema([ColSpec(lists.get(kind, kind), name) for name, kind in columns.items()]),
    )
    # MLflow would convert what it is given: null became the text "None", and was scored. With this
    # mark it leaves the check to the model, over HTTP too.
    signature._is_signature_from_type_hint = True
    return signature


def _example(modality: str, num_columns: int) -> list[Any]:
    if modality == "text":
        texts = ["The text of one record.", "And of another."]
        return texts if num_columns == 1 else [[text] * num_columns for text in texts]
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, format="PNG")
    return [file.getvalue()]
