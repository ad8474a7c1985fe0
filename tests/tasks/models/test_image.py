"""Image models: decoding, building, saving."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.errors import BadInput
from tasks.models import image
from tasks.models.architectures import autoencoder, convnet
from tasks.models.folder import architecture_of, describe
from tasks.models.traits import ImageTraits

GRAY = ImageTraits(1, 8, 8)


def encoded(size: tuple[int, int], mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, 7 if mode == "L" else (1, 2, 3)).save(file, "PNG")
    return file.getvalue()


def test_images_of_another_shape_are_brought_to_the_models() -> None:
    assert image.decode([encoded((8, 8)), encoded((20, 10), "RGB")], GRAY).shape == (2, 1, 8, 8)
    assert image.decode([encoded((5, 6), "RGB")]).shape == (1, 3, 6, 5)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(BadInput, match="cannot be decoded"):
        image.decode([b"not an image"], GRAY)


def test_batches_lie_between_zero_and_one() -> None:
    batch = image.PixelInputs(np.full((3, 1, 2, 2), 255, np.uint8)).batch(np.array([2, 0]))
    assert batch["images"].shape == (2, 1, 2, 2)
    assert float(batch["images"].max()) == 1.0


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 7), (1, 28, 28)])
@pytest.mark.parametrize("architecture", [convnet, autoencoder], ids=["convnet", "autoencoder"])
def test_a_model_takes_any_shape_and_comes_back_as_saved(
    architecture: image.Architecture, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    traits = ImageTraits(*shape)
    classifier = image.add_head(architecture.build(architecture.Settings(), traits), 5)
    image.save_classifier(classifier, tmp_path)
    images = {"images": torch.rand(2, *shape)}
    loaded = image.load_classifier(tmp_path)
    assert image.logits(loaded, images).equal(image.logits(classifier, images))
    assert image.logits(loaded, images).shape == (2, 5)


def test_an_autoencoder_gives_back_the_shape_it_is_given() -> None:
    model = autoencoder.build(autoencoder.Settings(), ImageTraits(3, 9, 7))
    assert model["decoder"](model["encoder"](torch.rand(2, 3, 9, 7))).shape == (2, 3, 9, 7)


def test_the_twin_has_the_shape_but_not_the_weights(tmp_path: Path) -> None:
    image.save(convnet.build(convnet.Settings(), GRAY), tmp_path)
    pretrained = image.new_classifier(tmp_path, 3, pretrained=True)
    again = image.new_classifier(tmp_path, 3, pretrained=True)
    twin = image.new_classifier(tmp_path, 3, pretrained=False)
    first, second, third = (
        next(image.backbone(model).parameters()) for model in (pretrained, again, twin)
    )
    assert first.equal(second)
    assert first.shape == third.shape
    assert not first.equal(third)


def test_a_folder_says_which_architecture_it_holds(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no downstream\.json"):
        architecture_of(tmp_path)
    describe(tmp_path, architecture="convnet")
    assert architecture_of(tmp_path) is convnet
