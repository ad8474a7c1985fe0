"""Activation checkpointing: a transformer's layers are computed again in the backward pass.

Only what goes into each layer is held from the forward pass on (Chen et al., 2016), for about a
third more computation. Dropout is drawn again as it was, so that the weights come out the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.errors import BadSettings

if TYPE_CHECKING:
    from torch import nn


def recompute_layers(model: nn.Module) -> None:
    """Have the layers of all transformers in a model computed again.

    Raises:
        BadSettings: there are none.
    """
    from transformers import PreTrainedModel

    found = [
        module
        for module in model.modules()
        if isinstance(module, PreTrainedModel) and module.supports_gradient_checkpointing
    ]
    if not found:
        raise BadSettings(
            "training.recompute is of transformers, and the architecture is none: drop it"
        )
    inside = {id(part) for module in found for part in module.modules() if part is not module}
    for module in found:
        if id(module) not in inside:
            module.activation_checkpointing_enable({"use_reentrant": False})
