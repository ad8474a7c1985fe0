"""Layer-wise learning-rate decay: lower layers hold what is general, and are to change less.

(ULMFiT, Howard and Ruder, 2018; ELECTRA, Clark et al., 2020)::

    depth   0        1            ...   L             L + 1
            head     last layer         first layer   embeddings
    rate    1        d                  d^L           d^(L+1)

Imported where ``layer_decay`` is below 1 alone, so that a change here makes no other row stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


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
