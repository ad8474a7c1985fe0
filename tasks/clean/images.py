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


class Images:
    """Cleans the images of one corpus, which must all end with the mode and size of the first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first: tuple[str, tuple[int, int], str] | None = None

    def clean(self, content: bytes, where: str) -> tuple[str, bytes]:
        """Return the sha256 (hex) of mode, size and pixels, and a PNG without metadata.

        Args:
            content: an encoded image.
            where: its source and row, for messages.

        Raises:
            BadInput: it cannot be decoded, or differs from the first in mode or size.
        """
        from PIL.ImageOps import exif_transpose

        image = self._converted(exif_transpose(decoded(content, where)), where)
        self._check_alike(image, where)
        pixels = image.tobytes()
        header = f"{image.mode} {image.width}x{image.height}\n".encode()
        return hashlib.sha256(header + pixels).hexdigest(), _png(image.mode, image.size, pixels)

    def _converted(self, image: "Image", where: str) -> "Image":
        from PIL.Image import Resampling

        if image.mode[0] in "IF":
            raise BadInput(f"{where}: mode {image.mode}, more than 8 bits a channel: save as 8 bit")
        mode = self._settings.mode
        if mode == "auto":
            mode = "L" if image.mode in _GREY else "RGB"
        image = _on_white(image).convert(mode)
        if self._settings.size is not None:
            width, height = self._settings.size
            image = image.resize((width, height), Resampling.BICUBIC)
        return image

    def _check_alike(self, image: "Image", where: str) -> None:
        if self._first is None:
            self._first = (image.mode, image.size, where)
        mode, size, first = self._first
        if image.mode != mode:
            raise BadInput(
                f"{where} is {image.mode} while {first} is {mode}: set clean.mode to L or RGB, so "
                "that all images are alike"
            )
        if image.size != size:
            raise BadInput(
                f"{where} has {image.width} x {image.height} pixels while {first} has "
                f"{size[0]} x {size[1]}: set clean.size to one [width, height]"
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
