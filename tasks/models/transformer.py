"""The architectures of transformers: how they load, compute attention, and are saved with a head.

transformers looks into a mask to find out whether it can be left out, for which a GPU's host waits
in every step. It does not for a mask that comes whole, nor for an implementation it does not know.

Dimensions: N sequences, T tokens.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

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
    """Have a bidirectional encoder's mask, N T, made whole, N 1 1 T, before it looks into it.

    Args:
        encoder: computes with ``fastest_attention()``.
    """
    eager = fastest_attention() == "eager"
    encoder.register_forward_pre_hook(partial(_whole_mask, eager=eager), with_kwargs=True)


def _whole_mask(
    encoder: Any, values: Any, named: dict[str, Any], *, eager: bool
) -> tuple[Any, dict[str, Any]]:
    import torch

    mask = named.get("attention_mask")
    if mask is None or mask.ndim != 2:
        return values, named
    attended = mask[:, None, None, :].bool()
    if eager:
        dtype = encoder.dtype
        nothing = torch.zeros(attended.shape, dtype=dtype, device=mask.device)
        attended = nothing.masked_fill(~attended, torch.finfo(dtype).min)
    return values, {**named, "attention_mask": attended}


def quiet_transformers() -> None:
    """Switch off load reports and bars: a new head is meant to be new, and bars are ours."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def load_encoder(
    folder: Path, *, pretrained: bool, causal: bool = False, **config_values: Any
) -> Any:
    """Return the encoder in a folder of transformers', or a random one like it.

    Args:
        folder: with ``config.json``, and ``model.safetensors`` if ``pretrained``.
        pretrained: whether to load the weights.
        causal: no token sees those after it.
        config_values: what shall be otherwise than in ``config.json``.
    """
    from transformers import AutoConfig, AutoModel

    quiet_transformers()
    config = AutoConfig.from_pretrained(folder, **config_values)
    implementation = {"attn_implementation": fastest_attention(causal=causal)}
    if pretrained:
        encoder = AutoModel.from_pretrained(folder, config=config, **implementation)
    else:
        encoder = AutoModel.from_config(config, **implementation)
    if not causal:
        give_whole_masks(encoder)
    return encoder


def with_head(encoder: Any, head: nn.Linear, labels: list[str]) -> Any:
    """Return encoder and head as transformers' own classifier, which knows the labels' names.

    Args:
        encoder: a model of transformers without heads.
        head: the linear layer over what the encoder has pooled.
        labels: the class names, in the order of the head's outputs.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = deepcopy(encoder.config)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    with torch.device("meta"):  # its weights are not drawn: they are replaced
        model = AutoModelForSequenceClassification.from_config(config)
    setattr(model, model.base_model_prefix, encoder)
    model.classifier = head
    return model
