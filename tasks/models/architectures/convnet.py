"""A small convolutional network: two convolutions and a dense layer (LeCun et al., 1998)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models.image import ImageBackbone

if TYPE_CHECKING:
    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

BACKBONE = ImageBackbone
PARTS = ("encoder",)


class Settings(contract.Settings):
    """The sizes of the convnet."""

    channels: int = Field(32, ge=8, multiple_of=8, description="channels of the first convolution")
    hidden_size: int = Field(128, ge=8, description="features handed to the head")


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder``: images N C H W to features N F."""
    from torch import nn

    from tasks.models.image_layers import ImageParts, two_convolutions

    layers, inner = two_convolutions(traits, settings.channels)
    encoder = nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(prod(inner), settings.hidden_size),
        nn.ReLU(),
    )
    return ImageParts.of({"encoder": encoder}, "convnet", settings, traits)
