"""A restricted Boltzmann machine (Smolensky, 1986; Hinton, 2002): pixels below, features above.

The probabilities of the hidden units are the features of the backbone. Machines can be stacked,
each on the features of the one below: a deep belief network (Hinton, Osindero and Teh, 2006).
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.inputs.traits import ImageTraits
from tasks.models.image import ImageBackbone

if TYPE_CHECKING:
    from tasks.models.image_layers import ImageParts

BACKBONE = ImageBackbone
PARTS = ("encoder", "visible")
# Hinton, 2012, A practical guide to training restricted Boltzmann machines, section 8.
DEVIATION_OF_WEIGHTS = 0.01


class Settings(contract.Settings):
    """The size of the machine; it has as many visible units as an image has pixels.

    Or as the machine below has hidden units: those are trained one after the other, by rows of
    ``adapted``, whose model says in ``below`` what it stands on.
    """

    hidden_units: int = Field(256, ge=1, description="hidden units, which are the features")
    below: list[int] | None = Field(
        None,
        description="hidden units of the machines below it, the lowest first",
        json_schema_extra=contract.NEUTRAL,
    )


def build(settings: Settings, traits: ImageTraits) -> ImageParts:
    """Return ``encoder`` (N C H W to N F, in 0 to 1) and ``visible``, the visible units' biases.

    The weights between two layers are the encoder's alone; of the machines below the last one, all
    that is left is the way up.
    """
    import torch
    from torch import nn

    from tasks.models.image_layers import ImageParts

    layers: list[nn.Module] = [nn.Flatten()]
    sizes = [prod(traits.shape), *(settings.below or []), settings.hidden_units]
    for num_visible, num_hidden in pairwise(sizes):
        weights = nn.Linear(num_visible, num_hidden)
        nn.init.normal_(weights.weight, std=DEVIATION_OF_WEIGHTS)
        nn.init.zeros_(weights.bias)
        layers += [weights, nn.Sigmoid()]
    parts = {
        "encoder": nn.Sequential(*layers),
        "visible": nn.ParameterDict({"bias": torch.zeros(sizes[-2])}),
    }
    model = ImageParts.of(parts, "rbm", settings, traits)
    if settings.below is None:  # a machine that stands on none is described as it always was
        del model.config["settings"]["below"]
    return model


def on_top(below: ImageParts, hidden_units: int) -> ImageParts:
    """Return a machine with random weights on those of a model.

    Args:
        below: the model.
        hidden_units: of the new machine.
    """
    known = Settings.parse(below.config["settings"], "config.json")
    sizes = [*(known.below or []), known.hidden_units]
    settings = Settings(hidden_units=hidden_units, below=sizes)
    model = build(settings, ImageTraits(**below.config["traits"]))
    model["encoder"][:-2].load_state_dict(below["encoder"].state_dict())  # type: ignore[index]
    return model
