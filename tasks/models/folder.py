"""The folder of a model: what lies beside its weights, and a check that it is all there."""

from pathlib import Path
from types import ModuleType
from typing import Any

from tasks.contracts import files, registry
from tasks.errors import BadInput

DESCRIPTION = "downstream.json"


def describe(folder: Path, **values: Any) -> None:
    """Write ``downstream.json``: the architecture, the modality, and what ``values`` adds."""
    files.write_json(folder / DESCRIPTION, values)


def description(folder: Path) -> dict[str, Any]:
    """Read ``downstream.json``.

    Raises:
        BadInput: the folder holds none, so it is not a model of this project.
    """
    path = folder / DESCRIPTION
    if not path.exists():
        raise BadInput(f"{folder} holds no {DESCRIPTION}: it is not a model of this project")
    values: dict[str, Any] = files.read_json(path)
    return values


def architecture_of(folder: Path) -> ModuleType:
    """Return the architecture's module of the model in a folder."""
    name = description(folder)["architecture"]
    return registry.load("tasks.models.architectures", name, f"{folder / DESCRIPTION}")
