"""Which of transformers' implementations of attention to compute with, and what its mask costs.

transformers looks into a mask to find out whether it can be left out, for which a GPU's host waits
in every step. It does not for a mask that comes whole, nor for an implementation it does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

CAUSAL = "downstream_causal"


def on_gpu() -> bool:
    """Tell whether there is a GPU to compute on."""
    import torch

    return torch.cuda.is_available()


def fastest_attention(*, causal: bool = False) -> str:
    """Return the fastest attention for this machine.

    On a CPU, the backward pass of torch's fused attention takes longer than plain matrix products.

    Args:
        causal: no token sees those after it. What stands behind a text to fill up its batch is
            then seen by no token of the text, and needs no mask.
    """
    if not on_gpu():
        return "eager"
    if not causal:
        return "sdpa"
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    AttentionInterface.register(CAUSAL, sdpa_attention_forward)
    return CAUSAL


def give_whole_masks(encoder: nn.Module) -> None:
    """Have a bidirectional encoder's mask, N T, made whole, N 1 1 T, before it looks into it."""
    encoder.register_forward_pre_hook(_whole_mask, with_kwargs=True)


def _whole_mask(encoder: Any, values: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import torch

    mask = named.get("attention_mask")
    if mask is None or mask.ndim != 2:
        return values, named
    attended = mask[:, None, None, :].bool()
    if encoder.config._attn_implementation == "eager":
        dtype = encoder.dtype
        nothing = torch.zeros(attended.shape, dtype=dtype, device=mask.device)
        attended = nothing.masked_fill(~attended, torch.finfo(dtype).min)
    return values, {**named, "attention_mask": attended}
