"""A model as MLflow keeps it: weights, the code that reads them, and what that code needs.

The code goes with the model as a package of its own, ``downstream_model_<hash>``: a copy of the
few modules that ``tasks.models`` needs, with their imports renamed. A model then runs with the code
it was registered with, beside models with other code, and whatever else is called ``tasks`` where
it is loaded. No object is pickled.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks.contracts import files

TASKS = Path(__file__).parents[2]
# What ``tasks.models`` may import (see the import contract in pyproject.toml).
PACKAGED = ("__init__.py", "errors.py", "progress.py", "contracts", "inputs", "models")
OWN_NAME = re.compile(r"\btasks(?=\.[a-z])|(?<=\bfrom )tasks(?= import\b)")
SERVED_MODEL = Path(__file__).with_name("served_model.py")
REQUIREMENTS = {
    "text": ("numpy", "pandas", "pydantic", "safetensors", "tokenizers", "torch", "transformers"),
    "image": ("numpy", "pandas", "pillow", "pydantic", "safetensors", "torch"),
}
FROM_TRANSFORMERS = ("vit",)
"""Architectures of images that are transformers'."""


def log_model(folder: Path, run_id: str) -> str:
    """Log a model folder to a run as a ``pyfunc`` model, and return the logged model's id.

    Args:
        folder: a copy of ``data/finetune/<model>/model``.
        run_id: the run it belongs to.
    """
    import mlflow

    about = files.read_json(folder / "downstream.json")
    modality = about["modality"]
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        # MLflow warns of its own type hints.
        warnings.simplefilter("ignore", UserWarning)
        package = package_code(Path(temporary))
        with _importable(package), mlflow.start_run(run_id):
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(SERVED_MODEL),
                code_paths=[str(package)],
                artifacts={"model": str(folder)},
                model_config={"package": package.name, "modality": modality},
                signature=_signature(modality, about["labels"]),
                input_example=_example(modality),
                pip_requirements=requirements(modality, about["architecture"]),
            )
    return str(logged.model_id)


def package_code(folder: Path) -> Path:
    """Write the code that reads a model as a package into ``folder``, named by its content."""
    sources = {
        path.relative_to(TASKS).as_posix(): path.read_text(encoding="utf-8")
        for part in PACKAGED
        for path in ([TASKS / part] if part.endswith(".py") else (TASKS / part).rglob("*.py"))
    }
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:12]
    package = folder / f"downstream_model_{digest}"
    for name, source in sources.items():
        files.write_text(package / name, OWN_NAME.sub(package.name, source))
    return package


def requirements(modality: str, architecture: str) -> list[str]:
    """Return what a model must be installed with, at today's versions."""
    names = {"mlflow", *REQUIREMENTS[modality]}
    if architecture in FROM_TRANSFORMERS:
        names.add("transformers")
    # A local version, such as torch's "+cpu", names a build that other machines may not have.
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)]


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


def _signature(modality: str, labels: list[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    scores = [ColSpec("double", f"score_{label}") for label in labels]
    signature = ModelSignature(
        inputs=Schema([ColSpec("string" if modality == "text" else "binary")]),
        outputs=Schema([ColSpec("string", "label"), ColSpec("double", "score"), *scores]),
    )
    # MLflow would convert what it is given: null became the text "None", and was scored. With this
    # mark it leaves the check to the model, over HTTP too.
    signature._is_signature_from_type_hint = True
    return signature


def _example(modality: str) -> list[Any]:
    if modality == "text":
        return ["The text of one record.", "And of another."]
    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, format="PNG")
    return [file.getvalue()]
