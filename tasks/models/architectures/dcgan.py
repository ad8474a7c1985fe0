"""A generator and a discriminator of convolutions (Radford et al., 2016, DCGAN).

https://arxiv.org/abs/1511.06434, with GroupNorm. As there, the discriminator's first layer and the
generator's last have no norm. All but the discriminator's last layer is the backbone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models.image import ImageBackbone

if TYPE_CHECKING:
    from torch import nn

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

BACKBONE = ImageBackbone
PARTS = ("encoder", "critic", "generator")
SMALLEST_SIDE = 4
KERNEL, STRIDE, PADDING = 5, 2, 2
SLOPE = 0.2


class Settings(contract.Settings):
    """The sizes of both networks."""

    channels: int = Field(
        32, ge=8, multiple_of=8, description="channels where the image is largest; then twice that"
    )
    latent_size: int = Field(32, ge=1, description="random numbers an image is made from")


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder`` (N C H W to N F), ``critic`` (N F to N 1) and ``generator``.

    The generator takes N Z, Z being ``latent_size``, to N C H W.
    """
    from torch import nn

    from tasks.models.image_layers import ImageParts, group_norm

    sides = _sides(traits)
    channels = [settings.channels * 2**level for level in range(len(sides) - 1)]
    encoder = _discriminator([traits.channels, *channels])
    features = channels[-1] * sides[-1][0] * sides[-1][1]
    generator = nn.Sequential(
        nn.Linear(settings.latent_size, features),
        nn.Unflatten(1, (channels[-1], *sides[-1])),
        group_norm(channels[-1]),
        nn.ReLU(),
        *_upwards([*channels[::-1], traits.channels], sides[::-1]),
    )
    parts = {"encoder": encoder, "critic": nn.Linear(features, 1), "generator": generator}
    return ImageParts.of(parts, "dcgan", settings, traits)


def _sides(traits: ImageTraits) -> list[tuple[int, int]]:
    """Return height and width of the image, and after each halving; there is one at least."""
    sides = [(traits.height, traits.width)]
    while len(sides) == 1 or min(sides[-1]) > SMALLEST_SIDE:
        height, width = sides[-1]
        sides.append(((height + 1) // 2, (width + 1) // 2))
    return sides


def _discriminator(channels: list[int]) -> nn.Sequential:
    from torch import nn

    from tasks.models.image_layers import group_norm

    layers: list[nn.Module] = []
    for number, (above, below) in enumerate(pairwise(channels)):
        norm = [group_norm(below)] if number else []
        layers += [nn.Conv2d(above, below, KERNEL, STRIDE, PADDING), *norm, nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, nn.Flatten())


def _upwards(channels: list[int], sides: list[tuple[int, int]]) -> list[nn.Module]:
    """Return transposed convolutions that undo the halvings exactly, odd sides too."""
    from torch import nn

    from tasks.models.image_layers import group_norm

    layers: list[nn.Module] = []
    for (below, above), (height, width) in zip(pairwise(channels), sides[1:], strict=True):
        missing = ((height + 1) % 2, (width + 1) % 2)
        convolution = nn.ConvTranspose2d(below, above, KERNEL, STRIDE, PADDING, missing)
        layers += [convolution, group_norm(above), nn.ReLU()]
    layers[-2:] = [nn.Sigmoid()]
    return layers
