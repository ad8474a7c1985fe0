"""Images that look alike, planted and found."""

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from tasks.duplicates.images import clusters
from tasks.errors import BadInput


def scene(seed: int) -> Image.Image:
    """Return an image of smooth patches, another for each seed."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((64, 64), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def altered(image: Image.Image, number: int) -> bytes:
    """Return it in another encoding, in another size, or a little brighter."""
    if number % 3 == 0:
        return encoded(image, "JPEG", quality=50)
    if number % 3 == 1:
        return encoded(image.resize((40, 40)))
    return encoded(ImageEnhance.Brightness(image).enhance(1.05))


def test_altered_images_are_found_and_others_are_not() -> None:
    originals = [scene(seed) for seed in range(120)]
    images = [encoded(image) for image in originals]
    images += [altered(image, number) for number, image in enumerate(originals[:100])]
    found = clusters(images, distance=4)
    joined = {(int(first), index) for index, first in enumerate(found) if first != index}
    planted = {(index, 120 + index) for index in range(100)}
    assert len(joined & planted) / len(planted) >= 0.95  # recall
    assert len(joined & planted) / len(joined) >= 0.95  # precision


def test_flat_images_of_other_colours_do_not_look_alike() -> None:
    colours = ["white", "black", "red", "white"]
    images = [encoded(Image.new("RGB", (9, 9), colour)) for colour in colours]
    assert clusters(images, distance=4).tolist() == [0, 1, 2, 0]


def test_the_order_of_images_does_not_matter() -> None:
    images = [encoded(scene(seed)) for seed in range(8)]
    images += [altered(scene(seed), seed) for seed in range(8)]
    found = clusters(images, distance=4)
    order = random.Random(0).sample(range(16), 16)  # noqa: S311
    again = clusters([images[index] for index in order], distance=4)
    assert {frozenset(np.flatnonzero(found == first).tolist()) for first in found} == {
        frozenset(order[index] for index in np.flatnonzero(again == first)) for first in again
    }


def test_no_images_are_no_clusters_and_a_damaged_one_is_told() -> None:
    assert clusters([], distance=4).tolist() == []
    with pytest.raises(BadInput, match="not an image that can be decoded"):
        clusters([b"GIF89a"], distance=4)
