"""Names are drawn as far as the font goes; thumbnails fit, and keep pixels sharp."""

import io

from PIL import Image

from tasks.reports.drawing import plain_names, thumbnail


def test_names_are_shortened_and_undrawable_ones_numbered() -> None:
    names = plain_names(["earn", "体育", "a very long name of a class", " "])
    assert names == ["earn", "class 2", "a very long name of…", "class 4"]


def grey_png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), 77).save(file, "PNG")
    return file.getvalue()


def size_of(image: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(image)) as opened:
        return opened.size


def test_small_images_grow_by_whole_steps_and_large_ones_shrink() -> None:
    assert size_of(thumbnail(grey_png(8, 8))) == (96, 96)
    assert size_of(thumbnail(grey_png(20, 10))) == (80, 40)
    assert size_of(thumbnail(grey_png(96, 1))) == (96, 1)
    assert size_of(thumbnail(grey_png(400, 200))) == (96, 48)
