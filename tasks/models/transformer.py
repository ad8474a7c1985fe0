"""How the architectures of transformers load, quietly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.models.attention import fastest_attention, give_whole_masks

if TYPE_CHECKING:
    from pathlib import Path


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
