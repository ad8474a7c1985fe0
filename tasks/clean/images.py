"""Images: of one mode and one size, re-encoded as plain PNG."""

import hashlib
import io
from typing import TYPE_CHECKING

from tasks.clean.settings import Settings
from tasks.contracts.images import decoded
from tasks.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

_GREY = {"1", "L", "LA"}


def clean_image(content: bytes, where: str, settings: Settings) -> tuple[str, bytes, str]:
    """Return the sha256 (hex) of mode, size and pixels, a PNG without metadata, and its form.

    Args:
        content: an encoded image.
        where: its source and row, for messages.
        settings: its mode and size.

    Raises:
        BadInput: it cannot be decoded, or has more than 8 bits a channel.
    """
    from PIL.ImageOps import exif_transpose

    image = _converted(exif_transpose(decoded(content, where)), where, settings)
    pixels = image.tobytes()
    form = f"{image.mode} {image.width}x{image.height}"
    identity = hashlib.sha256(f"{form}\n".encode() + pixels).hexdigest()
    return identity, _png(image.mode, image.size, pixels), form


def _converted(image: "Image", where: str, settings: Settings) -> "Image":
    from PIL.Image import Resampling

    if image.mode[0] in "IF":
        raise BadInput(f"{where}: mode {image.mode}, more than 8 bits a channel: save as 8 bit")
    mode = settings.mode
    if mode == "auto":
        mode = "L" if image.mode in _GREY else "RGB"
    image = _on_white(image).convert(mode)
    if settings.size is not None:
        width, height = settings.size
        image = image.resize((width, height), Resampling.BICUBIC)
    return image


class Alike:
    """The images of one corpus, which must all have the mode and size of the first."""

    def __init__(self) -> None:
        self._first: tuple[str, str] | None = None

    def check(self, form: str, where: str) -> None:
        """Look at the next image.

        Args:
            form: its mode and size, from ``clean_image``.
            where: its source and row, for messages.

        Raises:
            BadInput: it differs from the first.
        """
        if self._first is None:
            self._first = (form, where)
        alike, first = self._first
        if form == alike:
            return
        (mode, size), (other_mode, other_size) = form.split(), alike.split()
        if mode != other_mode:
            raise BadInput(
                f"{where} is {mode} while {first} is {other_mode}: set clean.mode to L or RGB, so "
                "that all images are alike"
            )
        raise BadInput(
            f"{where} has {size.replace('x', ' x ')} pixels while {first} has "
            f"{other_size.replace('x', ' x ')}: set clean.size to one [width, height]"
        )


def _on_white(image: "Image") -> "Image":
    """Show transparent pixels as on a white page, not as what happens to lie under them."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    image = image if image.mode == "RGBA" else image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _png(mode: str, size: tuple[int, int], pixels: bytes) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    # Made anew from its pixels, the image has no metadata to write.
    Image.frombytes(mode, size, pixels).save(file, format="PNG")
    return file.getvalue()
