"""How a classifier makes one vector of a text's token states.

Dimensions: N sequences, T tokens (the longest of a batch), H features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


def _cls(output: Any, mask: Int[Tensor, "N T"] | None) -> Float[Tensor, "N H"]:  # noqa: ARG001
    """Return BERT's pooled ``[CLS]``: next-sentence prediction has taught it to sum up a text.

    It is what BERT's own finetuning uses (Devlin et al., 2019, section 4.1).
    """
    pooled: Tensor = output.pooler_output
    return pooled


def _mean(output: Any, mask: Int[Tensor, "N T"] | None) -> Float[Tensor, "N H"]:
    states: Tensor = output.last_hidden_state
    if mask is None:
        return states.sum(1) / states.shape[1]
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _max(output: Any, mask: Int[Tensor, "N T"] | None) -> Float[Tensor, "N H"]:
    states: Tensor = output.last_hidden_state
    if mask is not None:
        states = states.masked_fill(mask[..., None] == 0, float("-inf"))
    return states.amax(1)


def _last(output: Any, mask: Int[Tensor, "N T"] | None) -> Float[Tensor, "N H"]:
    """Return the state of the last token, which has seen all others if the model reads on."""
    import torch

    states: Tensor = output.last_hidden_state
    if mask is None:
        return states[:, -1]
    rows = torch.arange(len(states), device=states.device)
    return states[rows, mask.sum(1) - 1]


_POOLINGS = {"cls": _cls, "mean": _mean, "max": _max, "last": _last}


def pool(pooling: str, output: Any, mask: Int[Tensor, "N T"] | None) -> Float[Tensor, "N H"]:
    """Make one vector of each sequence.

    Args:
        pooling: ``cls``, ``mean``, ``max`` or ``last``.
        output: an encoder's, with ``last_hidden_state`` (N T H); for ``cls`` with
            ``pooler_output`` (N H).
        mask: 1 for tokens, 0 for padding, which stands behind; without it nothing is padded.
    """
    return _POOLINGS[pooling](output, mask)
