"""Word vectors and their readers."""

from pathlib import Path

import pytest
import torch

from tasks.errors import BadSettings
from tasks.inputs.traits import TextTraits
from tasks.models.architectures import wordvectors


@pytest.mark.parametrize(
    ("reader", "num_features", "poolings"),
    [("mean", 6, ("mean", "max", "weighted")), ("lstm", 10, ("last", "mean", "max"))],
)
def test_the_reader_decides_what_is_pooled(
    tmp_path: Path, reader: str, num_features: int, poolings: tuple[str, ...]
) -> None:
    settings = wordvectors.Settings(hidden_size=6, reader=reader, reader_size=10)
    wordvectors.build(settings, TextTraits(50, 0)).save_pretrained(tmp_path)
    parts = wordvectors.load_parts(tmp_path, pretrained=True, dropout=0.0)
    assert (parts.num_features, parts.poolings) == (num_features, poolings)
    states = parts.encoder(torch.arange(4)[None]).last_hidden_state
    assert states.shape == (1, 4, 6)
    if parts.reader is not None:
        assert parts.reader(states).last_hidden_state.shape == (1, 4, 10)


def test_an_unknown_reader_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"reader: input should be 'mean' or 'lstm', found 'cnn'"):
        wordvectors.Settings.parse({"reader": "cnn"}, "pretrain.wordvectors")
