"""Word vectors (Mikolov et al., 2013), and how a classifier reads them: by a mean, or an LSTM.

The vectors are the backbone. An LSTM over them is learnt with the labels, like the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from tasks.contracts import settings as contract
from tasks.models.text import SINGLE_TOKENS, WEIGHTED, Parts, TextBackbone

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.inputs.traits import TextTraits
    from tasks.models.text_layers import SkipGram

BACKBONE = TextBackbone
CONTEXT = SINGLE_TOKENS


class Settings(contract.Settings):
    """The size of the vectors, and their reader."""

    hidden_size: int = Field(128, ge=2, description="numbers a vector")
    reader: Literal["mean", "lstm"] = Field("mean", description="what a classifier reads them with")
    reader_size: int = Field(128, ge=2, description="width of the LSTM that reads them")


def build(settings: Settings, traits: TextTraits) -> SkipGram:
    """Return vectors and context vectors to train."""
    from tasks.models.text_layers import SkipGram

    return SkipGram(settings, traits)


def load_parts(folder: Path, *, pretrained: bool, dropout: float) -> Parts:  # noqa: ARG001 - the head drops
    """Return the vectors in a folder, or random ones, and a new reader.

    Args:
        folder: holds its ``config.json``, and its weights if they shall be loaded.
        pretrained: whether to load them.
        dropout: share of activations dropped in the encoder; there are none.
    """
    from tasks.models.text_layers import (
        LstmReader,
        VectorTable,
        load_encoder_weights,
        read_config,
    )

    settings, traits = read_config(folder, Settings)
    encoder = VectorTable(settings, traits)
    if pretrained:
        load_encoder_weights(encoder, folder)
    if settings.reader == "mean":
        return Parts(encoder, settings.hidden_size, ("mean", "max", WEIGHTED))
    reader = LstmReader(settings.hidden_size, settings.reader_size)
    return Parts(encoder, settings.reader_size, ("last", "mean", "max"), reader)
