"""What every model is: a folder that says what it holds, a backbone, and a classifier on it.

A *backbone* is a pretrained encoder with what turns contents into its inputs (a tokenizer, or the
shape of the images). A *model* is a classifier on it: encoder, head and labels. Texts and images
have a class of each, with the same methods; an architecture's module names its own as ``BACKBONE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tasks.contracts import files, registry
from tasks.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tasks.inputs.documents import TokenInputs
    from tasks.inputs.pixels import PixelInputs
    from tasks.models.image import ImageBackbone, ImageModel
    from tasks.models.text import TextBackbone, TextModel
    from tasks.models.wide import WideInputs, WideTextModel

    # For type checkers alone, so that a model of images does not reach the code of texts.
    Inputs: TypeAlias = TokenInputs | PixelInputs | WideInputs
    Backbone: TypeAlias = TextBackbone | ImageBackbone
    Model: TypeAlias = TextModel | ImageModel
    FinishedModel: TypeAlias = Model | WideTextModel

DESCRIPTION = "downstream.json"
WIDE = "wide.safetensors"
"""The weights of a classifier's wide part, where it has one."""
ARCHITECTURES = "tasks.models.architectures"
AUTO = "auto"
"""The pooling that an architecture itself prefers."""


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
    return registry.load(ARCHITECTURES, name, f"{folder / DESCRIPTION}")


def load_backbone(folder: Path) -> Backbone:
    """Return the backbone in a folder: ``data/pretrain/<backbone>/model``, or a model's own.

    Raises:
        BadInput: the folder holds no model of this project.
    """
    backbone: Backbone = architecture_of(folder).BACKBONE(folder)
    return backbone


def load_model(folder: Path) -> FinishedModel:
    """Return the classifier in a folder: ``data/finetune/<model>/model`` or ``…/twin``.

    Raises:
        BadInput: the folder holds no model of this project.
    """
    model = load_backbone(folder).finished_model(description(folder)["labels"])
    if (folder / WIDE).exists():
        from tasks.models.wide import with_wide_part

        return with_wide_part(cast("TextModel", model), folder)
    return model
