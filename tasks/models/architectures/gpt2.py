"""GPT-2 (Radford et al., 2019), transformers' architecture.

Saved as ``GPT2LMHeadModel``, so that ``AutoModel.from_pretrained`` loads the decoder without its
head, and ``AutoModelForCausalLM`` the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.inputs.tokenizer import SEPARATOR, token_id
from tasks.models.architectures._transformer import TransformerSettings
from tasks.models.text import CAUSAL, Parts, TextBackbone
from tasks.models.transformer import fastest_attention, load_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import GPT2LMHeadModel

    from tasks.inputs.traits import TextTraits

BACKBONE = TextBackbone
CONTEXT = CAUSAL
# The same function as transformers' gelu_new, in one kernel.
ACTIVATION = "gelu_pytorch_tanh"


class Settings(TransformerSettings):
    """The sizes of a GPT-2."""


def build(settings: Settings, traits: TextTraits) -> GPT2LMHeadModel:
    """Return a language model with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=traits.vocabulary_size,
        # Naming it, transformers looks for it in every batch, for which a GPU's host waits.
        pad_token_id=None,
        bos_token_id=token_id(SEPARATOR),
        eos_token_id=token_id(SEPARATOR),
        n_positions=settings.positions,
        n_embd=settings.hidden_size,
        n_layer=settings.layers,
        n_head=settings.heads,
        activation_function=ACTIVATION,
        embd_pdrop=settings.dropout,
        resid_pdrop=settings.dropout,
        attn_pdrop=settings.dropout,
        use_cache=False,
        attn_implementation=fastest_attention(causal=True),
    )
    return GPT2LMHeadModel(config)


def load_parts(folder: Path, *, pretrained: bool, dropout: float) -> Parts:
    """Return the decoder in a folder, or a random one like it.

    Args:
        folder: holds its ``config.json``, and its weights if they shall be loaded.
        pretrained: whether to load them.
        dropout: share of activations dropped in the encoder.
    """
    encoder = load_encoder(
        folder,
        pretrained=pretrained,
        causal=True,
        embd_pdrop=dropout,
        resid_pdrop=dropout,
        use_cache=False,
    )
    return Parts(encoder, encoder.config.hidden_size, ("last", "mean", "max"))
