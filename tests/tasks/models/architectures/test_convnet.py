"""The convnet: as it was without settings, and the forms that settings give it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tasks.errors import BadSettings
from tasks.inputs.traits import ImageTraits
from tasks.models.architectures import convnet
from tasks.models.image import ImageModel
from tasks.models.image_layers import two_convolutions
from tasks.models.model import load_model

DIGITS = ImageTraits(1, 8, 8)


def built(traits: ImageTraits = DIGITS, **settings: Any) -> Any:
    torch.manual_seed(0)
    return convnet.build(convnet.Settings(**settings), traits)


def kinds(model: Any) -> list[str]:
    return [type(layer).__name__ for layer in model["encoder"]]


def test_without_the_new_settings_weights_and_config_are_those_of_before() -> None:
    traits = ImageTraits(3, 7, 5)
    model = built(traits, channels=8, hidden_size=16)
    torch.manual_seed(0)
    layers, _ = two_convolutions(traits, 8)
    before = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * 4 * 3, 16), nn.ReLU())
    assert str(before) == str(model["encoder"])
    pairs = zip(before.state_dict().values(), model["encoder"].state_dict().values(), strict=True)
    assert all(old.equal(new) for old, new in pairs)
    assert model.config["settings"] == {"channels": 8, "hidden_size": 16}


def test_blocks_double_the_channels_up_to_eight_times_and_halve_the_sides() -> None:
    model = built(ImageTraits(3, 32, 20), channels=8, blocks=[1, 2, 1, 1, 2])
    convolutions = [layer for layer in model["encoder"] if isinstance(layer, nn.Conv2d)]
    channels = [layer.out_channels for layer in convolutions]
    assert channels == [8, 16, 16, 32, 64, 64, 64]
    assert [layer.stride[0] for layer in convolutions] == [1, 2, 1, 2, 2, 2, 1]
    assert model["encoder"](torch.rand(2, 3, 32, 20)).shape == (2, 128)


def test_max_pooling_ends_each_block_and_dropout_stands_before_the_dense_layer() -> None:
    model = built(ImageTraits(1, 7, 1), blocks=[2, 1], max_pooling=True, dropout=0.25)
    block = ["Conv2d", "GroupNorm", "ReLU"]
    above = ["Flatten", "Dropout", "Linear", "ReLU"]
    assert kinds(model) == [*block, *block, "MaxPool2d", *block, "MaxPool2d", *above]
    convolutions = [layer for layer in model["encoder"] if isinstance(layer, nn.Conv2d)]
    assert {layer.stride for layer in convolutions} == {(1, 1)}
    assert model["encoder"](torch.rand(2, 1, 7, 1)).shape == (2, 128)


def test_what_is_saved_comes_back_with_its_form_and_drops_nothing_when_it_scores(
    tmp_path: Path,
) -> None:
    model = built(channels=8, blocks=[1, 2], max_pooling=True, dropout=0.5)
    classifier = ImageModel(model, ["a", "b"])
    classifier.save(tmp_path)
    loaded = load_model(tmp_path)
    images = {"images": torch.rand(3, 1, 8, 8)}
    for each in (classifier, loaded):
        each.module.eval()
    assert loaded.logits(images).equal(classifier.logits(images))
    classifier.module.train()
    assert not classifier.logits(images).equal(loaded.logits(images))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"blocks": [2, 0]}, r"convnet\.blocks.* expected convolutions of each block"),
        ({"blocks": []}, r"convnet\.blocks"),
        ({"dropout": 1.0}, r"convnet\.dropout"),
    ],
)
def test_forms_that_there_are_not_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        convnet.Settings.parse(given, "convnet")
