"""An LSTM language model (Hochreiter and Schmidhuber, 1997; Zaremba et al., 2014).

Embeddings in and out are tied (Press and Wolf, 2017), so all layers are of one width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models.text import CAUSAL, Parts, TextBackbone

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.inputs.traits import TextTraits
    from tasks.models.text_layers import LstmLanguageModel

BACKBONE = TextBackbone
CONTEXT = CAUSAL


class Settings(contract.Settings):
    """The sizes of an LSTM."""

    layers: int = Field(1, ge=1, description="LSTM layers")
    hidden_size: int = Field(256, ge=8, description="width of embeddings and states")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of activations dropped")


def build(settings: Settings, traits: TextTraits) -> LstmLanguageModel:
    """Return a language model with random weights."""
    from tasks.models.text_layers import LstmLanguageModel

    return LstmLanguageModel(settings, traits)


def load_parts(folder: Path, *, pretrained: bool, dropout: float) -> Parts:
    """Return the encoder in a folder, or a random one like it.

    Args:
        folder: holds its ``config.json``, and its weights if they shall be loaded.
        pretrained: whether to load them.
        dropout: share of activations dropped in the encoder.
    """
    from tasks.models.text_layers import LstmEncoder, load_encoder_weights, read_config

    settings, traits = read_config(folder, Settings)
    encoder = LstmEncoder(settings, traits, dropout)
    if pretrained:
        load_encoder_weights(encoder, folder)
    return Parts(encoder, settings.hidden_size, ("mean", "last", "max"))
