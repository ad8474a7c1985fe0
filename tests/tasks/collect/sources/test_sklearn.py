"""The digits are whole and keep their range."""

import io
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus


def test_the_digits_are_1797_greyscale_images_of_8_by_8(corpus: "Corpus") -> None:
    records = corpus.collect({"kind": "sklearn", "dataset": "digits"})
    assert len(records) == 1797
    assert {record["label"] for record in records} == set("0123456789")
    assert {record["split"] for record in records} == {None}
    assert (records[0]["source"], records[0]["row"]) == ("sklearn:digits", 1)
    with Image.open(io.BytesIO(records[0]["image"])) as image:
        assert (image.mode, image.size) == ("L", (8, 8))
        # The first digit's top row is 0 0 5 13 9 1 0 0 of 16.
        assert image.tobytes()[:8] == bytes([0, 0, 80, 207, 143, 16, 0, 0])
