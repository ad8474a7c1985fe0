"""Encoded images as pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from tasks.errors import BadInput
from tasks.inputs import pixels
from tasks.inputs.traits import ImageTraits

GRAY = ImageTraits(1, 8, 8)


def encoded(size: tuple[int, int], mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, 7 if mode == "L" else (1, 2, 3)).save(file, "PNG")
    return file.getvalue()


def test_images_of_another_shape_are_brought_to_the_models() -> None:
    assert pixels.decode([encoded((8, 8)), encoded((20, 10), "RGB")], GRAY).shape == (2, 1, 8, 8)
    assert pixels.decode([encoded((5, 6), "RGB")]).shape == (1, 3, 6, 5)


def test_the_first_image_tells_the_shape_of_all() -> None:
    assert pixels.traits_of([encoded((5, 6), "RGB"), b"not looked at"]) == ImageTraits(3, 6, 5)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(BadInput, match="record 0 is not an image that can be decoded"):
        pixels.decode([b"not an image"], GRAY)


def test_batches_and_means_lie_between_zero_and_one() -> None:
    inputs = pixels.PixelInputs(np.array([0, 0, 255], np.uint8).repeat(4).reshape(3, 1, 2, 2))
    batch = inputs.batch(np.array([2, 0]))
    assert batch["images"].flatten().tolist() == [1.0] * 4 + [0.0] * 4
    assert inputs.mean_image().tolist() == [[[1 / 3, 1 / 3], [1 / 3, 1 / 3]]]
    assert inputs.lengths.tolist() == [1, 1, 1]
