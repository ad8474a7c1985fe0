"""A vision transformer with a decoder of masked patches (He et al., 2022, ViT-MAE).

https://arxiv.org/abs/2111.06377; transformers' architecture. Saved as ``ViTMAEForPreTraining``, so
that ``AutoModel.from_pretrained`` loads the encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from tasks.contracts import settings as contract
from tasks.errors import BadSettings
from tasks.models.image import ImageBackbone
from tasks.models.transformer import fastest_attention

if TYPE_CHECKING:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    from tasks.inputs.traits import ImageTraits
    from tasks.models.image_layers import ImageParts

BACKBONE = ImageBackbone
PARTS = ("encoder", "patch_decoder")
# What the config of every model of transformers holds, and none of ours needs.
NOT_PUBLISHED = ("transformers_version", "id2label", "label2id")


class Settings(contract.Settings):
    """The sizes of the transformer, and of the smaller one that decodes."""

    patch_size: int = Field(4, ge=1, description="side of a patch, in pixels; divides the image's")
    layers: int = Field(4, ge=1, description="transformer layers")
    hidden_size: int = Field(128, ge=8, multiple_of=4, description="width of the residual stream")
    heads: int = Field(4, ge=1, description="attention heads; must divide both hidden sizes")
    decoder_layers: int = Field(1, ge=1, description="transformer layers of the decoder")
    decoder_hidden_size: int = Field(64, ge=8, multiple_of=4, description="width of the decoder")

    @model_validator(mode="after")
    def _heads_divide_both_hidden_sizes(self) -> Self:
        for name in ("hidden_size", "decoder_hidden_size"):
            if getattr(self, name) % self.heads:
                raise ValueError(f"heads ({self.heads}) must divide {name} ({getattr(self, name)})")
        return self


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder`` (N C H W to N F) and ``patch_decoder`` (transformers' own).

    Raises:
        BadSettings: the images are not square, or no whole number of patches wide.
    """
    from transformers import ViTMAEForPreTraining

    from tasks.models.image_layers import ImageParts, PatchEncoder

    if traits.height != traits.width:
        raise BadSettings(
            f"the images are {traits.width} × {traits.height} pixels, but the architecture 'vit' "
            "needs square ones: set the corpus' clean.size to [width, height] with both equal"
        )
    if traits.height % settings.patch_size:
        divisors = [side for side in range(1, traits.height + 1) if traits.height % side == 0]
        raise BadSettings(
            f"vit.patch_size is {settings.patch_size}, which does not divide the side of the "
            f"images, {traits.height} pixels: choose one of {', '.join(map(str, divisors))}"
        )
    config = _config(settings, traits)
    model = ViTMAEForPreTraining(config)
    _draw_weights(model, traits.height // settings.patch_size)
    parts = {"encoder": PatchEncoder(model.vit), "patch_decoder": model.decoder}
    published = {k: v for k, v in config.to_diff_dict().items() if k not in NOT_PUBLISHED}
    published["architectures"] = ["ViTMAEForPreTraining"]
    return ImageParts.of(parts, "vit", settings, traits, published)


def _config(settings: Settings, traits: ImageTraits) -> ViTMAEConfig:
    from transformers import ViTMAEConfig

    return ViTMAEConfig(
        image_size=traits.height,
        patch_size=settings.patch_size,
        num_channels=traits.channels,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.hidden_size,
        decoder_hidden_size=settings.decoder_hidden_size,
        decoder_num_hidden_layers=settings.decoder_layers,
        decoder_num_attention_heads=settings.heads,
        decoder_intermediate_size=4 * settings.decoder_hidden_size,
        mask_ratio=0.0,
        attn_implementation=fastest_attention(),
    )


def _draw_weights(model: ViTMAEForPreTraining, patches_a_side: int) -> None:
    """Draw a new model's weights as the authors do.

    transformers 5.23 means to, but leaves positions and tokens at zero (a patch then does not know
    where it is, and nothing is learnt), and draws the matrices with a deviation of 0.02, far too
    small for a narrow model.
    """
    import torch
    from torch import nn
    from transformers.models.vit_mae.modeling_vit_mae import (
        build_2d_sinusoidal_position_embedding as sinusoids,
    )

    embeddings = model.vit.embeddings
    with torch.no_grad():
        for table in (embeddings.position_embeddings, model.decoder.decoder_pos_embed):
            size = table.shape[-1]
            table.copy_(sinusoids(patches_a_side, patches_a_side, size, cls_token=True)[None])
    matrices = [layer.weight for layer in model.modules() if isinstance(layer, nn.Linear)]
    for weight in (*matrices, embeddings.patch_embeddings.projection.weight):
        nn.init.xavier_uniform_(weight.flatten(1))
    for token in (embeddings.cls_token, model.decoder.mask_token):
        nn.init.normal_(token, std=model.config.initializer_range)
