"""A small convolutional network: two convolutions and a dense layer (LeCun et al., 1998)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models import image as family

if TYPE_CHECKING:
    from torch import nn

    from tasks.inputs.traits import ImageTraits

PARTS = ("encoder",)


class Settings(contract.Settings):
    """The sizes of the convnet."""

    channels: int = Field(32, ge=8, multiple_of=8, description="channels of the first convolution")
    hidden_size: int = Field(128, ge=8, description="features handed to the head")


def build(settings: Settings, traits: ImageTraits) -> nn.ModuleDict:
    """Return ``encoder``: images N C H W to features N F."""
    from torch import nn

    layers, inner = family.two_convolutions(traits, settings.channels)
    encoder = nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(prod(inner), settings.hidden_size),
        nn.ReLU(),
    )
    return family.assemble(nn.ModuleDict({"encoder": encoder}), "convnet", settings, traits)
