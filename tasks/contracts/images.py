"""Which encoded images are decoded at all: one policy for whoever opens one that others have made.

Formats that Pillow decodes by itself (for others it would start a program: Ghostscript for EPS), of
one frame, no larger than memory bears. What breaks one of these rules, or is damaged, is one line.
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
MAXIMUM_PIXELS = 89_478_485
"""As many as Pillow decodes without a warning: a quarter of a GiB in colour."""
MAXIMUM_BYTES = 512 * 2**20
"""More than as many pixels take without any packing, with four bytes each."""
# A photograph with its own preview or depth map behind it: not a picture more.
_ONE_PICTURE = "MPO"


def opened(content: bytes, where: str) -> Image:
    """Return an image whose size and mode are known, and whose pixels are not decoded yet.

    Args:
        content: an encoded image.
        where: its source and row, for messages.

    Raises:
        BadInput: it is none, is damaged, too large, of another format or of several frames.
    """
    from PIL import Image

    if len(content) > MAXIMUM_BYTES:
        raise BadInput(f"{where} has {len(content):,} bytes, over {MAXIMUM_BYTES:,}: scale it")
    with _damage_told(where):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = Image.open(io.BytesIO(content), formats=FORMATS)
            is_animated = image.format != _ONE_PICTURE and getattr(image, "is_animated", False)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise BadInput(f"{where} has more than {MAXIMUM_PIXELS:,} pixels: scale it") from None
    if image.width * image.height > MAXIMUM_PIXELS:
        raise BadInput(f"{where} has more than {MAXIMUM_PIXELS:,} pixels: scale it")
    if is_animated:
        raise BadInput(f"{where} has several frames or pages: save each as an image of its own")
    return image


def decoded(content: bytes, where: str) -> Image:
    """Return an image decoded to its last pixel.

    Args:
        content: an encoded image.
        where: its source and row, for messages.

    Raises:
        BadInput: as :func:`opened`, or its pixels are damaged.
    """
    image = opened(content, where)
    with _damage_told(where):
        image.load()
    return image


def check(content: bytes, where: str) -> None:
    """Refuse an image that is damaged anywhere: the sums of a PNG's chunks too.

    Args:
        content: an encoded image.
        where: its source and row, for messages.

    Raises:
        BadInput: as :func:`decoded`.
    """
    with _damage_told(where):
        opened(content, where).verify()
    decoded(content, where)


@contextmanager
def _damage_told(where: str) -> Iterator[None]:
    try:
        yield
    except BadInput:
        raise
    except Exception as error:  # noqa: BLE001 - decoders meet foreign bytes with any error
        said = " ".join(str(error).split()) or type(error).__name__
        reason = f"not {', '.join(FORMATS)}" if "cannot identify" in said else f"{said:.200}"
        raise BadInput(
            f"{where} is not an image that can be decoded ({reason}): replace or remove it"
        ) from None
