"""Image files: one record each, its folder being its class."""

import io
import warnings
from collections.abc import Iterator
from operator import methodcaller

from tasks.collect.sources._columns import Row
from tasks.contracts.paths import Part
from tasks.errors import BadInput
from tasks.remote.members import Member

# Formats that are only decoded. Pillow would start a program for others (EPS: Ghostscript).
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
)


def rows(member: Member, split: Part | None) -> Iterator[Row]:
    """Yield the one image of a file, as found, with the name of its folder as label.

    The folder of an official split (``train/cat/1.png``) is not a class.

    Raises:
        BadInput: it cannot be decoded.
    """
    with member.open() as file:
        content = file.read()
    check(content, member.name)
    folders = member.folders
    if split and folders[:1] == (split,):
        folders = folders[1:]
    yield content, folders[-1] if folders else None


def check(content: bytes, where: str) -> None:
    """Decode an image to the last pixel, so that a damaged one is refused here.

    Raises:
        BadInput: it is damaged, of a format that is not read, or absurdly large.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # The one checks the sums of a PNG's chunks, the other the pixels of any format.
            for check_all in (methodcaller("verify"), methodcaller("load")):
                with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                    check_all(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadInput(
            f"{where} has more than {Image.MAX_IMAGE_PIXELS:,} pixels: scale it"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
        raise BadInput(
            f"{where} is not an image that can be decoded "
            f"({'not ' + ', '.join(FORMATS) if 'cannot identify' in str(error) else error}): "
            "replace or remove it"
        ) from None
