"""Cross entropy over a large vocabulary without ever holding all logits.

The states are worked off in pieces: a piece's logits give its part of the loss and, at once, of the
gradients, and are gone (as in Liger Kernel, Hsu et al., 2024). Of 32 windows of 1,024 tokens and
50,257 tokens of the vocabulary the logits are 6.6 GB in fp32, and their gradients as much.

Dimensions: N states, H their width, V tokens of the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

LOGITS_AT_ONCE = 1 << 26
"""Of a piece; 268 MB in fp32."""


def fused_cross_entropy(
    model: Any,
    input_ids: Int[Tensor, "B T"],
    targets: Int[Tensor, "B T"],
    ignored: int,
    **options: Any,
) -> Float[Tensor, ""]:
    """Return the summed cross entropy of next tokens.

    Args:
        model: a language model: transformers' GPT-2, or our LSTM.
        input_ids: what it reads.
        targets: the tokens that follow.
        ignored: the target that does not count.
        options: what else the model is called with.
    """
    if hasattr(model, "lm_head"):
        states = model.transformer(input_ids=input_ids, **options).last_hidden_state
        weight, bias = model.lm_head.weight, None
    else:
        states = model.encoder(input_ids).last_hidden_state
        weight, bias = model.encoder.embedding.weight, model.bias
    device = states.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
    with torch.autocast(device, enabled=False):
        loss: Tensor = _Fused.apply(
            states.flatten(0, 1).to(dtype),
            weight.to(dtype),
            bias,
            targets.flatten(),
            ignored,
            torch.is_grad_enabled(),
        )
    return loss


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Float[Tensor, "N H"],
        weight: Float[Tensor, "V H"],
        bias: Float[Tensor, " V"] | None,
        targets: Int[Tensor, " N"],
        ignored: int,
        learns: bool,
    ) -> Float[Tensor, ""]:
        total = torch.zeros((), device=states.device)
        of_states = torch.empty_like(states)
        of_weight = torch.zeros(weight.shape, device=weight.device)
        of_bias = None if bias is None else torch.zeros_like(bias)
        size = max(1, LOGITS_AT_ONCE // len(weight))
        for start in range(0, len(states), size):
            piece, wanted = states[start : start + size], targets[start : start + size]
            logits = (piece @ weight.t()).float()
            if bias is not None:
                logits += bias
            counts = wanted != ignored
            chosen = wanted.where(counts, 0)
            rows = torch.arange(len(piece), device=piece.device)
            norms = logits.logsumexp(-1)
            total += ((norms - logits[rows, chosen]) * counts).sum()
            if not learns:
                continue
            slopes = logits.sub_(norms[:, None]).exp_()
            slopes[rows, chosen] = slopes[rows, chosen] - 1
            slopes *= counts[:, None]
            if of_bias is not None:
                of_bias += slopes.sum(0)
            rounded = slopes.to(piece.dtype)
            of_states[start : start + size] = rounded @ weight
            of_weight += rounded.t() @ piece
        ctx.save_for_backward(of_states, of_weight.to(weight.dtype), of_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Any) -> Any:
        (slope,) = slopes
        found = [None if value is None else value * slope for value in ctx.saved_tensors]
        return (*found, None, None, None)
