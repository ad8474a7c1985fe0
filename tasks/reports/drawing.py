"""How plots and small images are drawn: equal ones give equal bytes.

matplotlib's own defaults and its bundled font are used whatever the user has configured, and
nothing about the software is written into the files.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

from tasks.contracts.images import decoded

INK, ACCENT, OTHER, PALE = "#333333", "#1f5fa8", "#c2570c", "#c9d6e6"
THUMBNAIL_PIXELS = 96


@contextmanager
def figure(path: Path | BytesIO, width_inches: float, height_inches: float) -> Iterator[Any]:
    """Give the axes of a new figure, and write it as PNG at the end.

    Args:
        path: the file, or a buffer.
        width_inches: at 110 pixels an inch.
        height_inches: the same.
    """
    import matplotlib
    from matplotlib.figure import Figure

    # A "$" in a class name is a dollar sign, not the start of a formula.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"font.family": "DejaVu Sans", "text.parse_math": False})
        drawn = Figure(figsize=(width_inches, height_inches), layout="constrained")
        yield drawn.add_subplot()
        drawn.savefig(path, format="png", dpi=110, metadata={"Software": None})


def plain_names(labels: Sequence[str]) -> list[str]:
    """Shorten long class names, and number those that the bundled font cannot draw.

    The numbers are those of the model card's table of classes, counted from 1.
    """
    return [
        (label if len(label) <= 20 else f"{label[:19]}…")
        if label.strip() and all(ord(letter) in _drawable() for letter in label)
        else f"class {number}"
        for number, label in enumerate(labels, start=1)
    ]


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def data_uri(png: bytes) -> str:
    """Return a PNG as an address that a page can hold."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def thumbnail(image: bytes) -> bytes:
    """Return an image of at most 96 pixels a side, or one enlarged to about that, as PNG."""
    return png(fitted(decoded(image, "an image of the record").convert("RGB"), THUMBNAIL_PIXELS))


def fitted(image: Any, side: int) -> Any:
    """Return a Pillow image shrunk, or enlarged by a whole factor, to fit a square.

    In whole steps, so that the pixels of a small image stay sharp.
    """
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
