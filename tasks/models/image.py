"""The family of image models: an encoder, perhaps a decoder, perhaps a head.

Dimensions: N images, C channels, H rows, W columns, F features, K labels.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tasks.contracts import files, registry
from tasks.errors import BadInput
from tasks.models.traits import ImageTraits

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


class Architecture(Protocol):
    """What an image architecture's module adds to this family."""

    Settings: type[Settings]

    def build(self, settings: Any, traits: ImageTraits) -> nn.ModuleDict:
        """Return ``encoder`` (N C H W to N F) and, where there is one, ``decoder``."""


@dataclass(frozen=True)
class PixelInputs:
    """Images as bytes of pixels."""

    pixels: np.ndarray
    """N C H W, uint8."""

    @property
    def lengths(self) -> np.ndarray:
        """One unit an image: all are of one size."""
        return np.ones(len(self.pixels), dtype=np.int64)

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return ``images``, N C H W, in 0 to 1."""
        import torch

        chosen = self.pixels[indices]
        return {"images": torch.from_numpy(chosen).float() / 255}


def decode(contents: Sequence[bytes], traits: ImageTraits | None = None) -> np.ndarray:
    """Return encoded images as pixels, N C H W, uint8.

    Args:
        contents: encoded images (PNG, JPEG, …).
        traits: the shape they shall have; images of another are converted and resized. Without
            it, the first image's shape is that of all.
    """
    return np.stack([_decode_one(content, traits) for content in contents])


def _decode_one(content: bytes, traits: ImageTraits | None) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        image: Image.Image = Image.open(io.BytesIO(content))
        image.load()
    except (UnidentifiedImageError, OSError) as error:
        raise BadInput(f"an image cannot be decoded ({error}): send PNG or JPEG") from None
    if traits is not None:
        image = image.convert("L" if traits.channels == 1 else "RGB")
        if image.size != (traits.width, traits.height):
            image = image.resize((traits.width, traits.height))
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def traits_of(contents: Sequence[bytes]) -> ImageTraits:
    """Return the shape of a corpus' images, which ``clean`` made equal."""
    channels, height, width = decode(contents[:1])[0].shape
    return ImageTraits(channels, height, width)


def inputs(contents: Sequence[bytes], folder: Path) -> PixelInputs:
    """Decode images for the model in ``folder``."""
    return PixelInputs(decode(contents, _read_config(folder)[2]))


def num_features(encoder: nn.Module, traits: ImageTraits) -> int:
    """Return F of an encoder for images of one shape."""
    import torch

    with torch.no_grad():
        return int(encoder(torch.zeros(1, *traits.shape)).shape[1])


def assemble(
    parts: nn.ModuleDict, architecture: str, settings: Settings, traits: ImageTraits
) -> nn.ModuleDict:
    """Note on a model what it takes to build it again; ``save`` writes it down."""
    parts.config = {  # type: ignore[assignment]
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
        _load_weights(model["encoder"], folder, "encoder.")
    return add_head(model, num_labels, dropout)


def load_classifier(folder: Path) -> nn.ModuleDict:
    """Return a finished classifier."""
    num_labels = files.read_json(folder / CONFIG)["num_labels"]
    classifier = new_classifier(folder, num_labels, pretrained=False)
    _load_weights(classifier, folder, "")
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
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
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


def _load_weights(module: nn.Module, folder: Path, prefix: str) -> None:
    from safetensors.torch import load_file

    weights = load_file(folder / WEIGHTS)
    module.load_state_dict(
        {
            name.removeprefix(prefix): value
            for name, value in weights.items()
            if name.startswith(prefix)
        }
    )
