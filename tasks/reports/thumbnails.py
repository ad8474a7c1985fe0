"""Small images for a page."""

from io import BytesIO
from typing import Any

# Smaller images are enlarged in whole steps, so that their pixels stay sharp.
THUMBNAIL_PIXELS = 96


def thumbnail(image: bytes) -> bytes:
    """Return an image of at most 96 pixels a side, or one enlarged to about that, as PNG."""
    from PIL import Image

    with Image.open(BytesIO(image)) as opened:
        return png(fitted(opened.convert("RGB"), THUMBNAIL_PIXELS))


def fitted(image: Any, side: int) -> Any:
    """Return a Pillow image shrunk, or enlarged by a whole factor, to fit a square."""
    from PIL import Image

    factor = side // max(image.size)
    if factor >= 1:
        size = (image.width * factor, image.height * factor)
        return image.resize(size, Image.Resampling.NEAREST)
    shrunk = image.copy()
    shrunk.thumbnail((side, side))
    return shrunk


def png(image: Any) -> bytes:
    """Return a Pillow image as PNG; equal images give equal bytes."""
    file = BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()
