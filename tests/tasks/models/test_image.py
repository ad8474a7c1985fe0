"""Image models: building, heads, saving."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tasks.contracts import registry
from tasks.inputs.traits import ImageTraits
from tasks.models import image
from tasks.models.image import ImageBackbone, ImageModel
from tasks.models.model import describe, load_model

GRAY = ImageTraits(1, 8, 8)
SHAPES = [(1, 8, 8), (3, 7, 5), (1, 28, 28)]
LABELS = list("abcde")
SMALL: dict[str, dict[str, Any]] = {
    "autoencoder": {"channels": 8},
    "convnet": {"channels": 8},
    "dcgan": {"channels": 8},
    "resnet": {"channels": 8, "blocks": 1},
    "vit": {"layers": 1, "hidden_size": 16, "heads": 2, "decoder_hidden_size": 8},
}


def image_architectures() -> list[str]:
    package = "tasks.models.architectures"
    names = registry.entries(package)
    modules = {name: importlib.import_module(f"{package}.{name}") for name in names}
    return [name for name, module in modules.items() if module.BACKBONE is ImageBackbone]


# A ViT takes square images alone (test_vit.py has the refusal).
CASES = [
    (name, shape)
    for name in image_architectures()
    for shape in SHAPES
    if name != "vit" or shape[1] == shape[2]
]


def built(name: str, shape: tuple[int, int, int]) -> tuple[ModuleType, Any]:
    module = registry.load("tasks.models.architectures", name, name)
    return module, module.build(module.Settings(**SMALL.get(name, {})), ImageTraits(*shape))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_classifier_takes_any_shape_and_comes_back_as_saved(
    name: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    module, model = built(name, shape)
    assert tuple(model) == module.PARTS
    classifier = ImageModel(model, LABELS)
    classifier.save(tmp_path)
    images = {"images": torch.rand(2, *shape)}
    loaded = load_model(tmp_path)
    assert loaded.labels == LABELS
    assert loaded.logits(images).equal(classifier.logits(images))
    assert loaded.logits(images).shape == (2, 5)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_the_features_of_an_image_do_not_depend_on_what_else_is_in_the_batch(
    name: str, shape: tuple[int, int, int]
) -> None:
    _, model = built(name, shape)
    images = torch.rand(3, *shape)
    together, alone = model["encoder"](images), model["encoder"](images[1:2])
    assert together.ndim == 2
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["autoencoder", "dense_autoencoder"])
def test_an_autoencoder_gives_back_the_shape_it_is_given(
    name: str, shape: tuple[int, int, int]
) -> None:
    _, model = built(name, shape)
    restored = model["decoder"](model["encoder"](torch.rand(2, *shape)))
    assert restored.shape == (2, *shape)
    assert 0 <= float(restored.min().detach()) < float(restored.max().detach()) <= 1


@pytest.mark.parametrize("name", image_architectures())
def test_the_twin_has_the_shape_but_not_the_weights(name: str, tmp_path: Path) -> None:
    _, model = built(name, GRAY.shape)
    image.save(model, tmp_path)
    describe(tmp_path, architecture=name)
    backbone = ImageBackbone(tmp_path)
    saved = dict(model["encoder"].named_parameters())
    first, other = (
        dict(backbone.model(LABELS, pretrained=each).encoder.named_parameters())
        for each in (True, False)
    )
    assert set(saved) == set(first) == set(other)
    assert all(value.equal(first[key]) for key, value in saved.items())
    assert any(not value.equal(other[key]) for key, value in saved.items())


def test_transformers_reads_what_its_own_architectures_are_saved_as(tmp_path: Path) -> None:
    from transformers import AutoModel, ViTMAEForPreTraining

    _, model = built("vit", GRAY.shape)
    image.save(model, tmp_path)
    encoder = AutoModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    whole, report = ViTMAEForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    images = torch.rand(2, *GRAY.shape)
    order = torch.arange(4).expand(2, -1)
    hidden = encoder(images, noise=order).last_hidden_state
    torch.testing.assert_close(hidden[:, 1:].mean(1), model["encoder"](images))
    decoder = dict(model["patch_decoder"].named_parameters())
    assert all(value.equal(decoder[name]) for name, value in whole.decoder.named_parameters())


def test_transformers_reads_the_encoder_of_a_classifier_too(tmp_path: Path) -> None:
    from transformers import AutoModel

    _, model = built("vit", GRAY.shape)
    ImageModel(model, LABELS).save(tmp_path)
    encoder = AutoModel.from_pretrained(tmp_path)
    saved = dict(model["encoder"].vit.named_parameters())
    assert all(value.equal(saved[name]) for name, value in encoder.named_parameters())
    assert encoder.config.num_labels == 5
