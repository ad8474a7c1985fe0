"""The restricted Boltzmann machine."""

import torch

from tasks.inputs.traits import ImageTraits
from tasks.models.architectures import rbm


def test_features_are_the_probabilities_of_the_hidden_units() -> None:
    model = rbm.build(rbm.Settings(hidden_units=5), ImageTraits(3, 7, 5))
    images = torch.rand(2, 3, 7, 5)
    weights = model["encoder"][1]
    expected = torch.sigmoid(images.flatten(1) @ weights.weight.T + weights.bias)
    torch.testing.assert_close(model["encoder"](images), expected)
    assert model["visible"]["bias"].shape == (105,)


def test_a_stack_of_machines_goes_up_through_all_of_them() -> None:
    model = rbm.build(rbm.Settings(hidden_units=5, below=[7, 6]), ImageTraits(3, 7, 5))
    sizes = [model["encoder"][layer].out_features for layer in (1, 3, 5)]
    assert sizes == [7, 6, 5]
    assert model["encoder"](torch.rand(2, 3, 7, 5)).shape == (2, 5)
    assert model["visible"]["bias"].shape == (6,)
