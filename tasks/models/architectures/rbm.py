"""A restricted Boltzmann machine (Smolensky, 1986; Hinton, 2002): pixels below, features above.

The probabilities of the hidden units are the features of the backbone.
"""

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
PARTS = ("encoder", "visible")
# Hinton, 2012, A practical guide to training restricted Boltzmann machines, section 8.
DEVIATION_OF_WEIGHTS = 0.01


class Settings(contract.Settings):
    """The size of the machine; it has as many visible units as an image has pixels."""

    hidden_units: int = Field(256, ge=1, description="hidden units, which are the features")


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder`` (N C H W to N F, in 0 to 1) and ``visible``, the pixels' biases.

    The weights between the two layers are the encoder's alone.
    """
    import torch
    from torch import nn

    from tasks.models.image_layers import ImageParts

    weights = nn.Linear(prod(traits.shape), settings.hidden_units)
    nn.init.normal_(weights.weight, std=DEVIATION_OF_WEIGHTS)
    nn.init.zeros_(weights.bias)
    parts = {
        "encoder": nn.Sequential(nn.Flatten(), weights, nn.Sigmoid()),
        "visible": nn.ParameterDict({"bias": torch.zeros(prod(traits.shape))}),
    }
    return ImageParts.of(parts, "rbm", settings, traits)
