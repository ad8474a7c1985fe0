"""BERT (Devlin et al., 2019, https://arxiv.org/abs/1810.04805), transformers' architecture.

Saved as ``BertForPreTraining``, so that ``AutoModel.from_pretrained`` loads the encoder, and a
later pretraining can go on with both heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.models.architectures._transformer import TransformerSettings
from tasks.models.text import BIDIRECTIONAL, Parts, TextBackbone
from tasks.models.transformer import fastest_attention, load_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import BertForPreTraining

    from tasks.inputs.traits import TextTraits

BACKBONE = TextBackbone
CONTEXT = BIDIRECTIONAL


class Settings(TransformerSettings):
    """The sizes of a BERT."""


def build(settings: Settings, traits: TextTraits) -> BertForPreTraining:
    """Return a BERT with both pretraining heads and random weights."""
    from transformers import BertConfig, BertForPreTraining

    config = BertConfig(
        vocab_size=traits.vocabulary_size,
        pad_token_id=traits.padding_token,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.hidden_size,
        max_position_embeddings=settings.positions,
        hidden_dropout_prob=settings.dropout,
        attention_probs_dropout_prob=settings.dropout,
        attn_implementation=fastest_attention(),
    )
    return BertForPreTraining(config)


def load_parts(folder: Path, *, pretrained: bool, dropout: float) -> Parts:
    """Return the encoder in a folder, or a random one like it.

    Args:
        folder: holds its ``config.json``, and its weights if they shall be loaded.
        pretrained: whether to load them.
        dropout: share of activations dropped in the encoder.
    """
    encoder = load_encoder(folder, pretrained=pretrained, hidden_dropout_prob=dropout)
    return Parts(
        encoder, encoder.config.hidden_size, ("cls", "mean", "max"), transformers_pooling="cls"
    )
