"""The images of a split on the disk: decoded once, opened as one array by all ranks.

A rank of several would else decode all images, and hold them. The array lies where tokens do, by
the same rules (``token_cache``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.contracts import files, images, records
from tasks.inputs import pixels
from tasks.inputs import token_cache as cache

if TYPE_CHECKING:
    from jaxtyping import UInt8

PIXELS = "pixels.npy"
CODE = tuple(Path(str(module.__file__)) for module in (images, records, pixels))
"""The modules, beside this one, that decide how images become pixels: part of the cache's key."""


def mapped_pixels(path: Path) -> UInt8[np.ndarray, "N C H W"]:
    """Return the images of a split, all of one shape, without reading them.

    Raises:
        BadInput: one is no image that is decoded, or there is no room for the pixels.
    """
    from PIL import __version__

    made_by = [*map(files.sha256, (*CODE, Path(__file__))), __version__]

    def write(folder: Path) -> None:
        write_pixels(path, folder)

    folder = cache.cached(cache.key_of("pixels", cache.known_sha256(path), *made_by), write)
    return cache.mapped(folder / PIXELS)


def write_pixels(path: Path, folder: Path) -> None:
    """Decode the images of a split into an array on the disk, in constant memory."""
    array, done = None, 0
    for batch in records.read_columns(path, ["image"]):
        decoded = pixels.decode(batch.column(0).to_pylist())
        if array is None:
            shape = (records.num_records(path), *decoded.shape[1:])
            array = np.lib.format.open_memmap(folder / PIXELS, "w+", np.uint8, shape)
        array[done : done + len(decoded)] = decoded
        done += len(decoded)
    if array is not None:
        array.flush()
