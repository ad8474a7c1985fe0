"""Images: pixels in; an encoder, perhaps a decoder, perhaps a head.

A folder holds ``config.json``, from which the model is built again, and ``model.safetensors``.

Dimensions: N images, C channels, H rows, W columns, F features, K labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tasks.contracts import files, records
from tasks.errors import BadSettings
from tasks.inputs.pixels import PixelInputs, decode
from tasks.inputs.traits import ImageTraits
from tasks.models.model import AUTO, architecture_of, describe, description

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jaxtyping import Float
    from torch import Tensor, nn

    from tasks.contracts.records import Modality
    from tasks.contracts.settings import Settings
    from tasks.models.image_layers import ImageParts

CONFIG, WEIGHTS = "config.json", "model.safetensors"
# What transformers calls our parts, in the files of those architectures that are its own.
PUBLISHED = {"encoder.": "", "patch_decoder.": "decoder."}


class Architecture(Protocol):
    """What the module of an image architecture holds.

    Attributes:
        BACKBONE: ``ImageBackbone``.
        Settings: its sizes.
        PARTS: the names of what ``build`` returns; an objective asks for those that it trains.
    """

    BACKBONE: type[ImageBackbone]
    Settings: type[Settings]
    PARTS: tuple[str, ...]

    def build(self, settings: Any, traits: ImageTraits) -> ImageParts:
        """Return ``encoder`` (N C H W to N F), the backbone, and what else it is trained with."""


class ImageBackbone:
    """A pretrained encoder of images, with the shape that it takes.

    Attributes:
        modality: ``image``.
        architecture: the key of its architecture.
        folder: where it lies.
        traits: the shape of the images.
    """

    modality: Modality = "image"

    def __init__(self, folder: Path) -> None:
        self.architecture: str = description(folder)["architecture"]
        self.folder = folder
        self._config: dict[str, Any] = files.read_json(folder / CONFIG)
        self.traits = ImageTraits(**self._config["traits"])

    def inputs(self, contents: Sequence[bytes]) -> PixelInputs:
        """Decode images."""
        return PixelInputs(decode(contents, self.traits))

    def cut_to(self, num_tokens: int, *, all_must_fit: bool = False) -> None:
        """Leave images whole: they have no tokens."""

    def read_inputs(self, splits: Sequence[Path]) -> PixelInputs:
        """Decode the images of whole splits, one after the other."""
        batches = (batch for split in splits for batch in records.read_batches(split))
        pixels = [decode(batch["image"].to_pylist(), self.traits) for batch in batches]
        return PixelInputs(np.concatenate(pixels))

    def model(
        self, labels: list[str], *, pretrained: bool = True, dropout: float = 0, pooling: str = AUTO
    ) -> ImageModel:
        """Return a classifier with a new head on the encoder, or on a random one like it.

        Args:
            labels: the class names, in the order of the logits.
            pretrained: whether to load the encoder's weights.
            dropout: share of activations dropped before the head.
            pooling: ``auto``, the encoder's own.

        Raises:
            BadSettings: it is another.
        """
        if pooling != AUTO:
            raise BadSettings(
                f"finetune.pooling is {pooling!r}, but the backbone takes {self.modality}s, "
                "whose encoders pool by themselves: drop it"
            )
        architecture: Architecture = architecture_of(self.folder)
        settings = architecture.Settings.parse(self._config["settings"], str(self.folder))
        parts = architecture.build(settings, self.traits)
        if pretrained:
            self._load_weights(parts, ["encoder"])
        return ImageModel(parts, labels, dropout)

    def finished_model(self, labels: list[str]) -> ImageModel:
        """Return the classifier that lies in the backbone's own folder."""
        model = self.model(labels, pretrained=False)
        self._load_weights(model.module, ["encoder", "head"])
        return model

    def _load_weights(self, parts: ImageParts, names: list[str]) -> None:
        from safetensors.torch import load_file

        weights = load_file(self.folder / WEIGHTS)
        for part in names:
            module = parts[part]
            in_file = {n: name_in_file(f"{part}.{n}", parts.config) for n in module.state_dict()}
            module.load_state_dict({name: weights[key] for name, key in in_file.items()})


class ImageModel:
    """A classifier of images.

    Attributes:
        modality: ``image``.
        labels: the class names, in the order of the logits.
        traits: the shape of the images.
        module: ``encoder`` and ``head``.
    """

    modality: Modality = "image"

    def __init__(self, parts: ImageParts, labels: list[str], dropout: float = 0.0) -> None:
        """Put a new head on an encoder; a decoder goes.

        Args:
            parts: what an architecture has built.
            labels: the class names.
            dropout: share of activations dropped before the head.
        """
        import torch
        from torch import nn

        from tasks.models.image_layers import ImageParts

        self.labels = labels
        self.traits = ImageTraits(**parts.config["traits"])
        encoder = parts["encoder"]
        with torch.no_grad():
            num_features = int(encoder(torch.zeros(1, *self.traits.shape)).shape[1])
        head = nn.Sequential(nn.Dropout(dropout), nn.Linear(num_features, len(labels)))
        config = {**parts.config, "num_labels": len(labels)}
        self.module = ImageParts({"encoder": encoder, "head": head}, config)

    @property
    def encoder(self) -> nn.Module:
        """The backbone, which ``frozen`` finetuning leaves alone."""
        return self.module["encoder"]

    def inputs(self, contents: Sequence[bytes]) -> PixelInputs:
        """Decode images."""
        return PixelInputs(decode(contents, self.traits))

    def features(self, batch: dict[str, Tensor]) -> Float[Tensor, "N H"]:
        """Return what the head takes of a batch made by ``PixelInputs``."""
        features: Tensor = self.encoder(batch["images"])
        return features

    def encoder_features(self, batch: dict[str, Tensor]) -> Float[Tensor, "N F"]:
        """Return what the encoder makes of a batch, whatever else a head is given."""
        return self.features(batch)

    def logits(self, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
        """Return the logits of a batch made by ``PixelInputs``."""
        logits: Tensor = self.module["head"](self.features(batch))
        return logits

    def save(self, folder: Path) -> None:
        """Write encoder and head, and what they are."""
        save(self.module, folder)
        describe(
            folder,
            architecture=self.module.config["architecture"],
            modality=self.modality,
            labels=self.labels,
        )


def save(parts: ImageParts, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / CONFIG, parts.config)
    weights = {
        name_in_file(name, parts.config): value.detach().cpu().contiguous()
        for name, value in parts.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def name_in_file(name: str, config: dict[str, Any]) -> str:
    """Return what a weight is called in the file.

    Args:
        name: what we call it.
        config: of the model.
    """
    if "model_type" in config:
        for ours, theirs in PUBLISHED.items():
            if name.startswith(ours):
                return theirs + name.removeprefix(ours)
    return name
