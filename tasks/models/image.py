"""The family of image models: an encoder, perhaps a decoder, perhaps a head.

Dimensions: N images, C channels, H rows, W columns, F features, K labels.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tasks.contracts import files, records, registry
from tasks.inputs.pixels import PixelInputs, decode
from tasks.inputs.traits import ImageTraits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jaxtyping import Float
    from torch import Tensor, nn

    from tasks.contracts.settings import Settings

MODALITY = "image"
INPUTS = ("images",)
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MOST_GROUPS = 8
# What transformers calls our parts, in the files of those architectures that are its own.
PUBLISHED = {"encoder.": "", "patch_decoder.": "decoder."}


class Architecture(Protocol):
    """What an image architecture's module adds to this family.

    Attributes:
        Settings: its sizes.
        PARTS: the names of what ``build`` returns; an objective asks for those that it trains.
    """

    Settings: type[Settings]
    PARTS: tuple[str, ...]

    def build(self, settings: Any, traits: ImageTraits) -> nn.ModuleDict:
        """Return ``encoder`` (N C H W to N F), the backbone, and what else it is trained with."""


def group_norm(channels: int) -> nn.GroupNorm:
    """Return GroupNorm (Wu and He, 2018, https://arxiv.org/abs/1803.08494), not BatchNorm.

    A batch's result then does not depend on what else is in it, nor on how it is spread.
    """
    from torch import nn

    return nn.GroupNorm(math.gcd(MOST_GROUPS, channels), channels)


def two_convolutions(
    traits: ImageTraits, channels: int
) -> tuple[list[nn.Module], tuple[int, int, int]]:
    """Return the first layers of a convolutional encoder, and C, H and W of what they give."""
    from torch import nn

    layers = [
        nn.Conv2d(traits.channels, channels, 3, padding=1),
        group_norm(channels),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        group_norm(2 * channels),
        nn.ReLU(),
    ]
    return layers, (2 * channels, (traits.height + 1) // 2, (traits.width + 1) // 2)


def inputs(contents: Sequence[bytes], folder: Path) -> PixelInputs:
    """Decode images for the model in ``folder``."""
    return PixelInputs(decode(contents, _read_config(folder)[2]))


def read_inputs(splits: Sequence[Path], folder: Path) -> PixelInputs:
    """Decode the images of whole splits, one after the other."""
    traits = _read_config(folder)[2]
    batches = (batch for split in splits for batch in records.read_batches(split))
    return PixelInputs(np.concatenate([decode(b["image"].to_pylist(), traits) for b in batches]))


def num_features(encoder: nn.Module, traits: ImageTraits) -> int:
    """Return F of an encoder for images of one shape."""
    import torch

    with torch.no_grad():
        return int(encoder(torch.zeros(1, *traits.shape)).shape[1])


def assemble(
    parts: nn.ModuleDict,
    architecture: str,
    settings: Settings,
    traits: ImageTraits,
    published: dict[str, Any] | None = None,
) -> nn.ModuleDict:
    """Note on a model what it takes to build it again; ``save`` writes it down.

    Args:
        parts: what ``build`` returns.
        architecture: the key of the architecture.
        settings: its settings.
        traits: the images that it is built for.
        published: transformers' own configuration, if its ``from_pretrained`` shall read the files.
    """
    parts.config = {  # type: ignore[assignment]
        **(published or {}),
        "architecture": architecture,
        "settings": settings.model_dump(mode="json"),
        "traits": asdict(traits),
        "num_labels": 0,
    }
    return parts


def add_head(model: Any, num_labels: int, dropout: float = 0.0) -> nn.ModuleDict:
    """Put a linear classification head on a model's encoder; its decoder goes."""
    from torch import nn

    traits = ImageTraits(**model.config["traits"])
    features = num_features(model["encoder"], traits)
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, num_labels))
    classifier: Any = nn.ModuleDict({"encoder": model["encoder"], "head": head})
    classifier.config = {**model.config, "num_labels": num_labels}
    return classifier


def new_classifier(
    folder: Path, num_labels: int, *, pretrained: bool, dropout: float = 0.0
) -> nn.ModuleDict:
    """Return a head on the encoder in ``folder``, or on a random one like it."""
    architecture, settings, traits = _read_config(folder)
    model = registry.load("tasks.models.architectures", architecture, str(folder)).build(
        settings, traits
    )
    if pretrained:
        _load_weights(model, folder, ["encoder"])
    return add_head(model, num_labels, dropout)


def load_classifier(folder: Path) -> nn.ModuleDict:
    """Return a finished classifier."""
    num_labels = files.read_json(folder / CONFIG)["num_labels"]
    classifier = new_classifier(folder, num_labels, pretrained=False)
    _load_weights(classifier, folder, ["encoder", "head"])
    return classifier


def logits(classifier: nn.ModuleDict, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
    """Return the logits of a batch made by ``PixelInputs``."""
    output: Tensor = classifier["head"](classifier["encoder"](batch["images"]))
    return output


def backbone(classifier: nn.ModuleDict) -> nn.Module:
    """Return the part that ``frozen`` finetuning leaves alone."""
    return classifier["encoder"]


def save(model: Any, folder: Path) -> None:
    """Write ``config.json`` and ``model.safetensors``."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / CONFIG, model.config)
    weights = {
        _name_in_file(name, model.config): value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def save_classifier(classifier: nn.ModuleDict, folder: Path) -> None:
    """Write encoder and head as any other model of this family."""
    save(classifier, folder)


def copy_inputs(source: Path, folder: Path, tokens: int) -> None:  # noqa: ARG001 - text has tokens
    """Copy what turns images into inputs, the shape in ``config.json``, to another folder."""
    files.write_json(folder / CONFIG, files.read_json(source / CONFIG))


def _read_config(folder: Path) -> tuple[str, Any, ImageTraits]:
    config = files.read_json(folder / CONFIG)
    name = config["architecture"]
    module = registry.load("tasks.models.architectures", name, str(folder))
    settings = module.Settings.parse(config["settings"], str(folder))
    return name, settings, ImageTraits(**config["traits"])


def _load_weights(model: Any, folder: Path, parts: list[str]) -> None:
    from safetensors.torch import load_file

    weights = load_file(folder / WEIGHTS)
    for part in parts:
        module = model[part]
        names = {
            name: _name_in_file(f"{part}.{name}", model.config) for name in module.state_dict()
        }
        module.load_state_dict({name: weights[in_file] for name, in_file in names.items()})


def _name_in_file(name: str, config: dict[str, Any]) -> str:
    if "model_type" in config:
        for ours, theirs in PUBLISHED.items():
            if name.startswith(ours):
                return theirs + name.removeprefix(ours)
    return name
