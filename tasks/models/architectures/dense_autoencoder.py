"""A dense autoencoder (Hinton and Salakhutdinov, 2006): the encoder is the backbone.

The input size is the corpus': of images of 28 × 28, the default is 784 → 128 → 784.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models.image import ImageBackbone

if TYPE_CHECKING:
    from torch import nn

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

BACKBONE = ImageBackbone
PARTS = ("encoder", "decoder")


class Settings(contract.Settings):
    """The sizes of the autoencoder."""

    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(
        [128],
        min_length=1,
        description="units of the encoder's layers; the last one's are the code; the decoder's "
        "are the same backwards",
    )


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder`` (N C H W to N F) and ``decoder`` (N F to N C H W, in 0 to 1)."""
    from torch import nn

    from tasks.models.image_layers import ImageParts

    sizes = [prod(traits.shape), *settings.hidden_sizes]
    encoder: list[nn.Module] = [nn.Flatten()]
    for size, following in pairwise(sizes):
        encoder += [nn.Linear(size, following), nn.ReLU()]
    decoder: list[nn.Module] = []
    for size, following in pairwise(sizes[::-1]):
        decoder += [nn.Linear(size, following), nn.ReLU()]
    decoder[-1] = nn.Sigmoid()
    parts: dict[str, nn.Module] = {
        "encoder": nn.Sequential(*encoder),
        "decoder": nn.Sequential(*decoder, nn.Unflatten(1, traits.shape)),
    }
    return ImageParts.of(parts, "dense_autoencoder", settings, traits)
