"""Text models of our own, on disk."""

from pathlib import Path

import pytest

from tasks.inputs.traits import TextTraits
from tasks.models.architectures import lstm
from tasks.models.plain_text import load_encoder_weights, read_config
from tasks.models.recurrent import LstmEncoder

SETTINGS, TRAITS = lstm.Settings(hidden_size=8), TextTraits(20, 0)


@pytest.mark.parametrize("alone", [True, False])
def test_an_encoder_is_loaded_alone_or_from_a_larger_model(tmp_path: Path, alone: bool) -> None:
    model = lstm.build(SETTINGS, TRAITS)
    (model.encoder if alone else model).save_pretrained(tmp_path)
    assert read_config(tmp_path, lstm.Settings) == (SETTINGS, TRAITS)
    encoder = LstmEncoder(SETTINGS, TRAITS, 0.0)
    load_encoder_weights(encoder, tmp_path)
    saved = model.encoder.state_dict()
    assert all(value.equal(saved[name]) for name, value in encoder.state_dict().items())
