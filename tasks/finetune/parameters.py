"""Which of a backbone's parameters learn, and how fast: adapters, and rates by depth.

**LoRA**: low-rank adapters beside the weights, merged into them when they are learnt. A merged
model is an ordinary one: the same files, loaded in the same way, at the same cost.

**Layer-wise learning-rate decay**: lower layers hold what is general, and are to change less
(ULMFiT, Howard and Ruder, 2018; ELECTRA, Clark et al., 2020)::

    depth   0        1            ...   L             L + 1
            head     last layer         first layer   embeddings
    rate    1        d                  d^L           d^(L+1)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

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


def decayed_groups(model: nn.Module, backbone: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return an optimizer's groups, each with the ``scale`` of its rate, the head's first.

    Args:
        model: the classifier.
        backbone: the part of it that lies below the head.
        decay: each layer's rate is so much of that of the layer above it.
    """
    depths = depths_below(backbone)
    at_depth: dict[int, list[nn.Parameter]] = {}
    for value in model.parameters():
        at_depth.setdefault(depths.get(value, 0), []).append(value)
    return [{"params": at_depth[depth], "scale": decay**depth} for depth in sorted(at_depth)]


def depths_below(backbone: nn.Module) -> dict[nn.Parameter, int]:
    """Return the depth of each parameter of a backbone.

    The layers are the members of its longest list or sequence of modules. What comes before them
    are embeddings; what comes after them (a pooler, a last norm) sums up as the head does, and
    shares its depth.
    """
    layers = _layers(backbone)
    inside = {value for layer in layers for value in layer}
    depths: dict[nn.Parameter, int] = {}
    depth = len(layers) + 1
    for value in backbone.parameters():
        if value in inside:
            depth = 0
        else:
            depths[value] = depth
    for number, layer in enumerate(reversed(layers), start=1):
        depths |= dict.fromkeys(layer, number)
    return depths


def _layers(backbone: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of each layer, the lowest first.

    What has vectors alone (a norm) belongs to the layer before it.
    """
    layers: list[list[nn.Parameter]] = []
    for child in _stack(backbone).children():
        parameters = list(child.parameters())
        if layers and all(value.ndim < 2 for value in parameters):
            layers[-1] += parameters
        elif parameters:
            layers.append(parameters)
    return layers or [list(backbone.parameters())]


def _stack(backbone: nn.Module) -> nn.Module:
    """Return the longest list or sequence; the outermost of equals; else the backbone itself."""
    from torch import nn

    stacks = [m for m in backbone.modules() if isinstance(m, (nn.ModuleList, nn.Sequential))]
    return max(stacks, key=_num_members, default=backbone)


def _num_members(stack: nn.Module) -> int:
    return sum(any(True for _ in child.parameters()) for child in stack.children())
