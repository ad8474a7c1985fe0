"""The images of a split are decoded once, into an array that is opened where it lies."""

from pathlib import Path

import numpy as np
import pytest

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.inputs import pixels
from tasks.inputs import token_cache as cache
from tasks.inputs.pixel_cache import PIXELS, mapped_pixels
from tests.tasks.conftest import write


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cache lies here."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path / "tokens")
    return tmp_path / "tokens"


def test_the_pixels_are_those_that_are_decoded_and_made_once(
    images: tuple[Path, Path], folder: Path
) -> None:
    contents = records.read_table(images[1])["image"].to_pylist()
    found = mapped_pixels(images[1])
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels.decode(contents))
    (made,) = folder.glob(f"*/{PIXELS}")
    before = made.stat()
    assert np.array_equal(mapped_pixels(images[1]), found)
    assert made.stat() == before
    assert len(mapped_pixels(images[0])) == records.num_records(images[0])
    assert len(list(folder.glob(f"*/{PIXELS}"))) == 2


def test_what_is_no_image_leaves_nothing_behind(tmp_path: Path, folder: Path) -> None:
    rows = [{"id": "1", "image": b"not an image", "label": "1"}]
    path = write(tmp_path / "train.parquet", "image", rows)
    with pytest.raises(BadInput, match="record 0 is not an image"):
        mapped_pixels(path)
    assert not list(folder.glob(f"*/{PIXELS}"))
