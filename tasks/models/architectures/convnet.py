"""A small convolutional network: two convolutions and a dense layer (LeCun et al., 1998).

GroupNorm instead of BatchNorm (Wu and He, 2018, https://arxiv.org/abs/1803.08494): a batch's
result then does not depend on what else is in it, nor on how a batch is spread over devices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models import image as family

if TYPE_CHECKING:
    from torch import nn

    from tasks.models.traits import ImageTraits

GROUPS = 8


class Settings(contract.Settings):
    """The sizes of the convnet."""

    channels: int = Field(32, ge=8, multiple_of=8, description="channels of the first convolution")
    hidden_size: int = Field(128, ge=8, description="features handed to the head")


def build(settings: Settings, traits: ImageTraits) -> nn.ModuleDict:
    """Return ``encoder``: images N C H W to features N F."""
    from torch import nn

    channels = settings.channels
    height, width = (traits.height + 1) // 2, (traits.width + 1) // 2
    encoder = nn.Sequential(
        nn.Conv2d(traits.channels, channels, 3, padding=1),
        nn.GroupNorm(GROUPS, channels),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        nn.GroupNorm(GROUPS, 2 * channels),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * height * width, settings.hidden_size),
        nn.ReLU(),
    )
    return family.assemble(nn.ModuleDict({"encoder": encoder}), "convnet", settings, traits)
