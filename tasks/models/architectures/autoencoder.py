"""A convolutional autoencoder (Masci et al., 2011): the encoder is the backbone."""

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
PARTS = ("encoder", "decoder")


class Settings(contract.Settings):
    """The sizes of the autoencoder."""

    channels: int = Field(32, ge=8, multiple_of=8, description="channels of the first convolution")
    code_size: int = Field(64, ge=1, description="features of the code between the two halves")


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder`` (N C H W to N F) and ``decoder`` (N F to N C H W, in 0 to 1)."""
    from torch import nn

    from tasks.models.image_layers import ImageParts, group_norm, two_convolutions

    channels = settings.channels
    layers, inner = two_convolutions(traits, channels)
    encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(prod(inner), settings.code_size))
    decoder = nn.Sequential(
        nn.Linear(settings.code_size, prod(inner)),
        nn.ReLU(),
        nn.Unflatten(1, inner),
        nn.Upsample(size=(traits.height, traits.width)),
        nn.Conv2d(2 * channels, channels, 3, padding=1),
        group_norm(channels),
        nn.ReLU(),
        nn.Conv2d(channels, traits.channels, 3, padding=1),
        nn.Sigmoid(),
    )
    parts = {"encoder": encoder, "decoder": decoder}
    return ImageParts.of(parts, "autoencoder", settings, traits)
