"""Encoded images as pixels, and batches of them.

Dimensions: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.contracts.images import decoded
from tasks.inputs.traits import ImageTraits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor


@dataclass(frozen=True)
class PixelInputs:
    """Images as bytes of pixels."""

    pixels: np.ndarray
    """N C H W, uint8."""

    @property
    def lengths(self) -> np.ndarray:
        """One unit an image: all are of one size."""
        return np.ones(len(self.pixels), dtype=np.int64)

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return ``images``, N C H W, in 0 to 1."""
        import torch

        chosen = self.pixels[indices]
        return {"images": torch.from_numpy(chosen).float() / 255}

    def mean_image(self) -> np.ndarray:
        """Return the mean of all images, C H W, in 0 to 1, float64."""
        mean: np.ndarray = self.pixels.mean(axis=0, dtype=np.float64) / 255
        return mean


def decode(contents: Sequence[bytes], traits: ImageTraits | None = None) -> np.ndarray:
    """Return encoded images as pixels, N C H W, uint8.

    Args:
        contents: encoded images (PNG, JPEG, …).
        traits: the shape they shall have; images of another are converted and resized. Without
            it, the first image's shape is that of all.

    Raises:
        BadInput: one is no image that is decoded; a served model is given them by strangers.
    """
    images = (decoded(content, f"record {number}") for number, content in enumerate(contents))
    return np.stack([_pixels(image, traits) for image in images])


def _pixels(image: Image, traits: ImageTraits | None) -> np.ndarray:
    if traits is not None:
        image = image.convert("L" if traits.channels == 1 else "RGB")
        if image.size != (traits.width, traits.height):
            image = image.resize((traits.width, traits.height))
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def traits_of(contents: Sequence[bytes]) -> ImageTraits:
    """Return the shape of a corpus' images, which ``clean`` made equal."""
    channels, height, width = decode(contents[:1])[0].shape
    return ImageTraits(channels, height, width)
