"""The generator and the discriminator."""

import pytest
import torch

from tasks.inputs.traits import ImageTraits
from tasks.models.architectures import dcgan


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 5), (1, 28, 28), (3, 9, 33), (1, 2, 2)])
def test_drawn_images_have_the_shape_of_the_real_ones(shape: tuple[int, int, int]) -> None:
    model = dcgan.build(dcgan.Settings(channels=8, latent_size=6), ImageTraits(*shape))
    drawn = model["generator"](torch.randn(2, 6))
    assert drawn.shape == (2, *shape)
    assert 0 <= float(drawn.min().detach()) < float(drawn.max().detach()) <= 1
    assert model["critic"](model["encoder"](drawn)).shape == (2, 1)


@pytest.mark.parametrize(("side", "num_halvings"), [(4, 1), (8, 1), (9, 2), (28, 3), (64, 4)])
def test_images_are_halved_until_four_pixels_are_left(side: int, num_halvings: int) -> None:
    encoder = dcgan.build(dcgan.Settings(channels=8), ImageTraits(1, side, side))["encoder"]
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in encoder) == num_halvings
