"""The dense autoencoder."""

import pytest
import torch

from tasks.errors import BadSettings
from tasks.inputs.traits import ImageTraits
from tasks.models.architectures import dense_autoencoder


@pytest.mark.parametrize(
    ("hidden_sizes", "expected"),
    [([128], [784, 128, 784]), ([500, 30], [784, 500, 30, 500, 784])],
)
def test_the_decoder_is_the_encoder_backwards(hidden_sizes: list[int], expected: list[int]) -> None:
    settings = dense_autoencoder.Settings(hidden_sizes=hidden_sizes)
    model = dense_autoencoder.build(settings, ImageTraits(1, 28, 28))
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    assert [layers[0].in_features, *(layer.out_features for layer in layers)] == expected


def test_an_encoder_without_layers_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"hidden_sizes: list should have at least 1 item"):
        dense_autoencoder.Settings.parse({"hidden_sizes": []}, "dense_autoencoder")
