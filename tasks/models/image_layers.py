"""What the architectures of images are built of.

Dimensions: N images, C channels, H rows, W columns, F features.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

from torch import arange, nn
from torch.nn.functional import relu

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float
    from torch import Tensor
    from transformers import ViTMAEModel

    from tasks.contracts.settings import Settings
    from tasks.inputs.traits import ImageTraits

MOST_GROUPS = 8


class ImageParts(nn.ModuleDict):
    """The parts of a model of images, and what it takes to build them again.

    Attributes:
        config: the content of ``config.json``.
    """

    def __init__(self, parts: Mapping[str, nn.Module], config: dict[str, Any]) -> None:
        super().__init__(parts)
        self.config = config

    @classmethod
    def of(
        cls,
        parts: Mapping[str, nn.Module],
        architecture: str,
        settings: Settings,
        traits: ImageTraits,
        published: dict[str, Any] | None = None,
    ) -> Self:
        """Return what an architecture has built.

        Args:
            parts: ``encoder``, and what else it is trained with.
            architecture: the key of the architecture.
            settings: its settings.
            traits: the images that it is built for.
            published: transformers' own configuration, if its ``from_pretrained`` shall read the
                files.
        """
        config = {
            **(published or {}),
            "architecture": architecture,
            "settings": settings.model_dump(mode="json"),
            "traits": asdict(traits),
            "num_labels": 0,
        }
        return cls(parts, config)


def group_norm(channels: int) -> nn.GroupNorm:
    """Return GroupNorm (Wu and He, 2018, https://arxiv.org/abs/1803.08494), not BatchNorm.

    A batch's result then does not depend on what else is in it, nor on how it is spread.
    """
    return nn.GroupNorm(math.gcd(MOST_GROUPS, channels), channels)


def two_convolutions(
    traits: ImageTraits, channels: int
) -> tuple[list[nn.Module], tuple[int, int, int]]:
    """Return the first layers of a convolutional encoder, and C, H and W of what they give."""
    layers = [
        nn.Conv2d(traits.channels, channels, 3, padding=1),
        group_norm(channels),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        group_norm(2 * channels),
        nn.ReLU(),
    ]
    return layers, (2 * channels, (traits.height + 1) // 2, (traits.width + 1) // 2)


class BasicBlock(nn.Module):
    """Two convolutions of 3 × 3, and a shortcut past them (He et al., 2016, figure 5, left)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.first_norm = group_norm(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = group_norm(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            projection = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, group_norm(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Return N C H W, H and W divided by the stride."""
        hidden = relu(self.first_norm(self.first(images)))
        hidden = self.second_norm(self.second(hidden))
        return relu(hidden + self.shortcut(images))


class PatchEncoder(nn.Module):
    """The mean of the patches' last hidden states (He et al., 2022, appendix A.1).

    Attributes:
        vit: transformers' encoder; how much of an image it sees is ``vit.config.mask_ratio``.
    """

    def __init__(self, vit: ViTMAEModel) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N F"]:
        """Return the features of images that are seen whole."""
        # transformers would shuffle the patches at random: harmless, but for the last bits.
        num_patches = self.vit.embeddings.patch_embeddings.num_patches
        order = arange(num_patches, device=images.device).expand(images.shape[0], -1)
        hidden: Tensor = self.vit(images, noise=order).last_hidden_state
        return hidden[:, 1:].mean(dim=1)
