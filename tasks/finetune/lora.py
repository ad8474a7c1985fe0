"""LoRA: low-rank adapters beside the weights, merged into them when they are learnt.

A merged model is an ordinary one: the same files, loaded in the same way, at the same cost. This
is imported in ``mode: lora`` alone, so that a change here makes no other row stale.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.errors import BadInput

if TYPE_CHECKING:
    from torch import nn

    from tasks.finetune.settings import LoraSettings

# What transformers call the layers that give queries and values (section 4.2 of the paper).
QUERIES_AND_VALUES = ("query", "value", "q_proj", "v_proj", "q_lin", "v_lin", "c_attn")


def add_adapters(backbone: nn.Module, settings: LoraSettings) -> None:
    """Freeze a backbone, in place, and put adapters on its linear layers.

    They change nothing until they are trained: one of their two matrices begins as zeros.

    Raises:
        BadInput: the backbone has no linear layer, or none of a name that is asked for.
    """
    from peft import LoraConfig, inject_adapter_in_model
    from transformers.pytorch_utils import Conv1D

    layers = _linear_layers(backbone)
    targets = _targets(list(layers), settings.targets)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules="|".join(map(re.escape, targets)),  # a text is a pattern of whole names
        fan_in_fan_out=isinstance(layers[targets[0]], Conv1D),
    )
    backbone.requires_grad_(False)
    inject_adapter_in_model(config, backbone)


def merge_adapters(backbone: nn.Module) -> None:
    """Add what the adapters have learnt to the weights, in place, and take them away."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(backbone.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            backbone.set_submodule(name, module.get_base_layer())
    del backbone.peft_config


def _linear_layers(backbone: nn.Module) -> dict[str, nn.Module]:
    """Return what an adapter can be put on: transformers' ``Conv1D`` (GPT-2) is linear, too.

    A subclass is left out: attention in torch reads its weights without calling it.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    return {
        name: module
        for name, module in backbone.named_modules()
        if type(module) in (nn.Linear, Conv1D)
    }


def _targets(names: list[str], wanted: list[str]) -> list[str]:
    """Return the full names of the layers that get an adapter."""
    if not names:
        raise BadInput(
            "mode: lora: the backbone has no linear layer to adapt: take mode: full or frozen"
        )
    last_names = {name: name.rpartition(".")[2] for name in names}
    for last_name in wanted:
        if last_name not in last_names.values():
            raise BadInput(
                f"lora.targets: no linear layer of the backbone is called {last_name!r}; "
                f"they are {', '.join(sorted(set(last_names.values())))}"
            )
    chosen = wanted or QUERIES_AND_VALUES
    return [name for name in names if last_names[name] in chosen] or names
