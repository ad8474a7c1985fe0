"""Images that show nothing."""

import numpy as np

from tasks.contracts.images import decoded


def is_blank(content: bytes, levels: int) -> bool:
    """Tell whether all pixels of an image are nearly of one colour.

    Args:
        content: a cleaned image, encoded.
        levels: by how many of 255 levels the pixels of a channel may differ.
    """
    image = decoded(content, "a cleaned image")
    pixels = np.asarray(image).reshape(-1, len(image.getbands()))
    return int(np.ptp(pixels, axis=0).max()) <= levels
