"""Images end alike, as PNG without metadata."""

import hashlib
import io
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tasks.clean.images import Alike, clean_image
from tasks.clean.settings import Settings
from tasks.errors import BadInput


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def decoded(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def grey(width: int = 2, height: int = 1) -> Image.Image:
    return Image.frombytes("L", (width, height), bytes(range(width * height)))


def form_of(image: Image.Image) -> str:
    return clean_image(encoded(image), "an image", Settings())[2]


def test_the_id_is_the_hash_of_mode_size_and_pixels() -> None:
    identity, content, _ = clean_image(encoded(grey()), "a", Settings())
    assert identity == hashlib.sha256(b"L 2x1\n\x00\x01").hexdigest()
    assert decoded(content).tobytes() == b"\x00\x01"


def test_the_same_picture_in_two_files_has_one_id_and_one_png() -> None:
    note = PngInfo()
    note.add_text("Author", "someone")
    plain = clean_image(encoded(grey()), "a", Settings())
    assert clean_image(encoded(grey(), pnginfo=note, dpi=(300, 300)), "b", Settings()) == plain
    assert clean_image(encoded(grey(), "BMP"), "c", Settings()) == plain
    assert decoded(plain[1]).info == {}


def test_a_turned_photograph_is_put_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    _, content, _ = clean_image(encoded(grey(3, 1), "TIFF", exif=exif), "a", Settings())
    assert decoded(content).size == (1, 3)


def test_what_is_transparent_shows_white() -> None:
    image = Image.new("RGBA", (1, 1), (10, 20, 30, 0))
    _, content, _ = clean_image(encoded(image), "a", Settings())
    assert (decoded(content).mode, decoded(content).getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_mode_and_size_are_settings() -> None:
    settings = Settings(mode="RGB", size=[4, 3])
    _, content, _ = clean_image(encoded(grey(8, 8)), "a", settings)
    assert (decoded(content).mode, decoded(content).size) == ("RGB", (4, 3))


def test_images_of_two_modes_name_the_setting() -> None:
    alike = Alike()
    alike.check(form_of(grey()), "files:a.png, row 1")
    with pytest.raises(BadInput) as error:
        alike.check(form_of(Image.new("RGB", (2, 1))), "files:b.png, row 1")
    assert str(error.value) == (
        "files:b.png, row 1 is RGB while files:a.png, row 1 is L: set clean.mode to L or RGB, "
        "so that all images are alike"
    )


def test_images_of_two_sizes_name_the_setting() -> None:
    alike = Alike()
    alike.check(form_of(grey(2, 1)), "files:a.png, row 1")
    with pytest.raises(BadInput) as error:
        alike.check(form_of(grey(3, 2)), "files:b.png, row 1")
    assert str(error.value) == (
        "files:b.png, row 1 has 3 x 2 pixels while files:a.png, row 1 has 2 x 1: "
        "set clean.size to one [width, height]"
    )


def test_a_corrupt_image_is_named_by_source_and_row() -> None:
    with pytest.raises(BadInput, match=r"^files:a\.png, row 1 is not an image that can be decoded"):
        clean_image(encoded(grey(16, 16))[:45], "files:a.png, row 1", Settings())


def test_more_than_eight_bits_are_refused() -> None:
    image = Image.frombytes("I;16", (1, 1), b"\x00\x01")
    with pytest.raises(BadInput, match=r"^a: mode I;16, more than 8 bits a channel: save as 8 bit"):
        clean_image(encoded(image), "a", Settings())
