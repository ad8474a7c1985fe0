"""What every model is: a folder that says what it holds, a backbone, and a classifier on it.

A *backbone* is a pretrained encoder with what turns contents into its inputs (a tokenizer, or the
shape of the images). A *model* is a classifier on it: encoder, head and labels. Texts and images
have a class of each, ``TextBackbone`` and ``TextModel``, ``ImageBackbone`` and ``ImageModel``; an
architecture's module names its own as ``BACKBONE``.

Dimensions: N records, K labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tasks.contracts import files, registry
from tasks.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    import numpy as np
    from jaxtyping import Float
    from torch import Tensor, nn

    from tasks.contracts.records import Modality

DESCRIPTION = "downstream.json"
ARCHITECTURES = "tasks.models.architectures"
AUTO = "auto"
"""The pooling that an architecture itself prefers."""


class Inputs(Protocol):
    """What a model computes on: ``TokenInputs`` or ``PixelInputs``."""

    @property
    def lengths(self) -> np.ndarray:
        """What each record costs, N."""

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return the tensors of some records, by the names of the encoder's arguments."""


class Backbone(Protocol):
    """A pretrained encoder, and what turns contents into its inputs."""

    modality: Modality
    architecture: str
    folder: Path

    def inputs(self, contents: Sequence[Any]) -> Inputs:
        """Return contents as the encoder takes them."""

    def cut_to(self, num_tokens: int, *, all_must_fit: bool = False) -> None:
        """Cut texts to so many tokens, or to the encoder's positions if those are fewer.

        Args:
            num_tokens: special tokens included.
            all_must_fit: refuse to have fewer positions.

        Raises:
            BadInput: there are fewer, and it is refused.
        """

    def read_inputs(self, splits: Sequence[Path]) -> Inputs:
        """Return the contents of whole splits, one after the other, as the encoder takes them."""

    def model(
        self,
        labels: list[str],
        *,
        pretrained: bool = True,
        dropout: float = 0.0,
        pooling: str = AUTO,
    ) -> Model:
        """Return a classifier with a new head on the encoder, or on a random one like it.

        Args:
            labels: the class names, in the order of the logits.
            pretrained: whether to load the encoder's weights.
            dropout: share of activations dropped, in the encoder and before the head.
            pooling: what the head sees of a record; ``auto`` for the architecture's own.

        Raises:
            BadSettings: the architecture has no such pooling.
        """

    def finished_model(self, labels: list[str]) -> Model:
        """Return the classifier that lies in the backbone's own folder, trained and saved."""


class Model(Protocol):
    """A classifier: encoder, head and labels, and what turns contents into its inputs.

    Attributes:
        modality: what it reads.
        labels: the class names, in the order of the logits.
    """

    modality: Modality
    labels: list[str]

    @property
    def module(self) -> nn.ModuleDict:
        """All that is learnt, ``encoder`` and ``head`` among it."""

    @property
    def encoder(self) -> nn.Module:
        """The backbone, which ``frozen`` finetuning leaves alone."""

    def inputs(self, contents: Sequence[Any]) -> Inputs:
        """Return contents as the encoder takes them."""

    def logits(self, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
        """Return the logits of a batch of inputs, which may hold more than the encoder takes."""

    def save(self, folder: Path) -> None:
        """Write all that ``load_model`` needs."""


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


def load_model(folder: Path) -> Model:
    """Return the classifier in a folder: ``data/finetune/<model>/model`` or ``…/twin``.

    Raises:
        BadInput: the folder holds no model of this project.
    """
    return load_backbone(folder).finished_model(description(folder)["labels"])
