"""A convolutional network: blocks of convolutions and a dense layer (LeCun et al., 1998).

The default has two convolutions. With ``blocks``, ``max_pooling`` and ``dropout`` it is as deep as
those of Simonyan and Zisserman (2015, VGG), with GroupNorm behind each convolution.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from tasks.contracts import settings as contract
from tasks.models.image import ImageBackbone

if TYPE_CHECKING:
    from torch import nn

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

BACKBONE = ImageBackbone
PARTS = ("encoder",)
BLOCKS = (1, 1)
MOST_TIMES_AS_WIDE = 8
"""As in VGG, whose blocks have 64, 128, 256, 512 and again 512 channels."""


class Settings(contract.Settings):
    """The sizes of the convnet."""

    channels: int = Field(32, ge=8, multiple_of=8, description="channels of the first convolution")
    hidden_size: int = Field(128, ge=8, description="features handed to the head")
    blocks: list[int] | None = Field(
        None,
        min_length=1,
        max_length=8,
        json_schema_extra=contract.NEUTRAL,
        description="convolutions of each block, which has twice the channels of the one before, "
        "up to eight times the first's; null: [1, 1]",
    )
    max_pooling: bool | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="true: each block ends with the maxima of 2 × 2 pixels; else the first "
        "convolution of all blocks but the first takes steps of two pixels",
    )
    dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        json_schema_extra=contract.NEUTRAL,
        description="share of activations dropped before the dense layer; null: none",
    )

    @field_validator("blocks")
    @classmethod
    def _each_block_has_a_convolution(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and min(value) < 1:
            raise ValueError("expected convolutions of each block, for example [2, 2, 3]")
        return value


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder``: images N C H W to features N F."""
    from torch import nn

    from tasks.models.image_layers import ImageParts

    layers, inner = _convolutions(settings, traits)
    dropped = [nn.Dropout(settings.dropout)] if settings.dropout else []
    encoder = nn.Sequential(
        *layers,
        nn.Flatten(),
        *dropped,
        nn.Linear(prod(inner), settings.hidden_size),
        nn.ReLU(),
    )
    parts = ImageParts.of({"encoder": encoder}, "convnet", settings, traits)
    # What is not set is not there: as in models from before there were such settings.
    parts.config["settings"] = settings.model_dump(mode="json", exclude_none=True)
    return parts


def _convolutions(
    settings: Settings, traits: ImageTraits
) -> tuple[list[nn.Module], tuple[int, int, int]]:
    """Return the layers below the dense one, and C, H and W of what they give."""
    from torch import nn

    from tasks.models.image_layers import group_norm

    layers: list[nn.Module] = []
    before, height, width = traits.channels, traits.height, traits.width
    for block, num_convolutions in enumerate(settings.blocks or BLOCKS):
        channels = settings.channels * min(2**block, MOST_TIMES_AS_WIDE)
        halved_first = block > 0 and not settings.max_pooling
        for number in range(num_convolutions):
            stride = 2 if halved_first and number == 0 else 1
            layers += [
                nn.Conv2d(before, channels, 3, stride, padding=1),
                group_norm(channels),
                nn.ReLU(),
            ]
            before = channels
        if settings.max_pooling:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        if halved_first or settings.max_pooling:
            height, width = (height + 1) // 2, (width + 1) // 2
    return layers, (before, height, width)
