"""The residual network."""

import pytest
import torch

from tasks.inputs.traits import ImageTraits
from tasks.models.architectures import resnet


@pytest.mark.parametrize(("stages", "blocks", "num_convolutions"), [(1, 1, 3), (3, 2, 15)])
def test_stages_double_the_channels_and_norms_look_at_one_image_alone(
    stages: int, blocks: int, num_convolutions: int
) -> None:
    settings = resnet.Settings(channels=8, stages=stages, blocks=blocks)
    encoder = resnet.build(settings, ImageTraits(3, 7, 5))["encoder"]
    layers = list(encoder.modules())
    assert encoder(torch.rand(2, 3, 7, 5)).shape == (2, 8 * 2 ** (stages - 1))
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in layers) == num_convolutions
    assert not any(isinstance(layer, torch.nn.modules.batchnorm._BatchNorm) for layer in layers)
