"""Clusters of images that look alike.

An image is hashed by whether each of 8 x 8 places is brighter than the one to its left (dHash,
Krawetz, 2013), which scaling, another encoding or a change of brightness hardly touch. Two images
look alike if few of these 64 bits differ and, since flat areas have any bits, if their colours in
8 x 8 places are close.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from tasks.contracts.images import decoded
from tasks.duplicates.joining import Clusters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL.Image import Image

PLACES = 8
COLOUR_DISTANCE = 12
"""Of 255 levels, on average over places and channels."""
_BITS = PLACES * PLACES
FEATURES = _BITS // 8 + 3 * PLACES * PLACES
"""Numbers from 0 to 255 that an image is compared by: its hash, and its colours."""
_ROWS_AT_ONCE = 500


def clusters(images: Iterable[bytes], *, distance: int) -> np.ndarray:
    """Return for each image the index of the first member of its cluster; alone, its own.

    Args:
        images: encoded images.
        distance: how many of 64 bits two images that look alike may differ in.

    Raises:
        BadInput: one of them cannot be decoded.
    """
    found = b"".join(features_of(image) for image in images)
    return clusters_of(np.frombuffer(found, dtype=np.uint8).reshape(-1, FEATURES), distance)


def features_of(image: bytes) -> bytes:
    """Return what an encoded image is compared by: ``FEATURES`` numbers, of it alone.

    Raises:
        BadInput: it cannot be decoded.
    """
    hashed, colours = _features(decoded(image, "an image"))
    return hashed.to_bytes(8, "big") + colours.tobytes()


def clusters_of(features: np.ndarray, distance: int) -> np.ndarray:
    """Return for each image the index of the first member of its cluster; alone, its own.

    Args:
        features: of each image a row, from ``features_of``.
        distance: how many of 64 bits two images that look alike may differ in.
    """
    hashes = np.ascontiguousarray(features[:, :8]).view(">u8").ravel().astype(np.uint64)
    colours = features[:, 8:]
    joined = Clusters(len(features))
    for first, second in _pairs(hashes, distance):
        apart = joined.first_of(first) != joined.first_of(second)
        left, right = first[apart], second[apart]
        difference = np.abs(colours[left].astype(np.int16) - colours[right]).mean(axis=1)
        alike = difference <= COLOUR_DISTANCE
        joined.join(left[alike], right[alike])
    return joined.all()


def _features(image: Image) -> tuple[int, np.ndarray]:
    from PIL.Image import Resampling

    grey = image.convert("L").resize((PLACES + 1, PLACES), Resampling.LANCZOS)
    pixels = np.asarray(grey, dtype=np.int16)
    bits = (pixels[:, 1:] > pixels[:, :-1]).ravel()
    small = image.convert("RGB").resize((PLACES, PLACES), Resampling.BOX)
    return int.from_bytes(np.packbits(bits).tobytes(), "big"), np.asarray(small).ravel()


def _pairs(hashes: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the pairs that differ in few bits, some at a time.

    All these agree in one of ``distance + 1`` parts of their bits, so only those that do are
    compared.
    """
    bounds = np.linspace(0, _BITS, min(distance + 1, _BITS) + 1).astype(int).tolist()
    for low, high in pairwise(bounds):
        part = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=part[order[:1]] + np.uint64(1)))
        for group in np.split(order, starts[1:]):
            for start in range(0, len(group) - 1, _ROWS_AT_ONCE):
                lefts = group[start : start + _ROWS_AT_ONCE]
                different = np.bitwise_count(hashes[lefts, None] ^ hashes[None, group])
                row, column = np.nonzero(different <= distance)
                later = column > row + start
                for some in np.array_split(np.flatnonzero(later), 1 + later.sum() // 20_000):
                    yield lefts[row[some]], group[column[some]]
