"""A vision transformer as the backbone of a classifier.

Dimensions: N images, C channels, H rows, W columns, F features, P patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from transformers import ViTMAEModel


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
        order = torch.arange(num_patches, device=images.device).expand(len(images), -1)
        hidden: Tensor = self.vit(images, noise=order).last_hidden_state
        return hidden[:, 1:].mean(dim=1)
