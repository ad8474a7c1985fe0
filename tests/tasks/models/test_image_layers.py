"""What the architectures of images are built of."""

import pytest
import torch

from tasks.inputs.traits import ImageTraits
from tasks.models.image_layers import BasicBlock, group_norm, two_convolutions


@pytest.mark.parametrize(("channels", "groups"), [(8, 8), (64, 8), (12, 4), (7, 1)])
def test_the_groups_of_a_norm_divide_the_channels(channels: int, groups: int) -> None:
    norm = group_norm(channels)
    assert (norm.num_groups, norm.num_channels) == (groups, channels)


def test_the_first_convolutions_halve_sides_rounding_up() -> None:
    layers, shape = two_convolutions(ImageTraits(3, 7, 5), 8)
    assert torch.nn.Sequential(*layers)(torch.rand(2, 3, 7, 5)).shape == (2, *shape)
    assert shape == (16, 4, 3)


def test_a_block_that_changes_nothing_keeps_a_plain_shortcut() -> None:
    assert isinstance(BasicBlock(8, 8, 1).shortcut, torch.nn.Identity)
    assert BasicBlock(8, 16, 2)(torch.rand(1, 8, 7, 5)).shape == (1, 16, 4, 3)
