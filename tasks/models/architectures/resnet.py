"""A residual network (He et al., 2016, https://arxiv.org/abs/1512.03385, section 4.2).

The one for small images: a convolution, stages of basic blocks, each stage of half the sides and
twice the channels of the one before, and the mean over the image. With GroupNorm (transformers'
ResNet has BatchNorm only).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models.image import ImageBackbone

if TYPE_CHECKING:
    from torch import nn

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

BACKBONE = ImageBackbone
PARTS = ("encoder",)


class Settings(contract.Settings):
    """The sizes of the residual network."""

    channels: int = Field(16, ge=8, multiple_of=8, description="channels of the first stage")
    stages: int = Field(3, ge=1, le=6, description="each halves the sides, doubles the channels")
    blocks: int = Field(2, ge=1, description="basic blocks a stage, of two convolutions each")


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder``: images N C H W to features N F."""
    from torch import nn

    from tasks.models.image_layers import BasicBlock, ImageParts, group_norm

    channels = settings.channels
    layers: list[nn.Module] = [
        nn.Conv2d(traits.channels, channels, 3, padding=1, bias=False),
        group_norm(channels),
        nn.ReLU(),
    ]
    before = channels
    for stage in range(settings.stages):
        for block in range(settings.blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(BasicBlock(before, channels * 2**stage, stride))
            before = channels * 2**stage
    encoder = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return ImageParts.of({"encoder": encoder}, "resnet", settings, traits)
