"""Slices: every class that occurs, and thirds by content."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.metrics.slices import brightness, characters, slices_of


def _png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 3), grey).save(file, "PNG")
    return file.getvalue()


def test_classes_come_first_and_those_without_a_record_are_left_out() -> None:
    texts = ["a", "aa", "aaa", "aaaa", "aaaaa", "aaaaaa"]
    found = slices_of(np.array([0, 0, 2, 2, 0, 2]), ["x", "y", "z"], "text", texts)
    assert [(one.kind, one.name) for one in found] == [
        ("class", "x"),
        ("class", "z"),
        ("length", "short texts (up to 2 characters)"),
        ("length", "texts of middle length (2 to 4 characters)"),
        ("length", "long texts (over 4 characters)"),
    ]
    assert [one.members.tolist().count(True) for one in found] == [3, 3, 2, 2, 2]


def test_images_are_told_apart_by_their_brightness() -> None:
    images = [_png(grey) for grey in (0, 51, 102, 153, 204, 255)]
    assert brightness(images).round(3).tolist() == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    found = slices_of(np.zeros(6, dtype=np.int64), ["x"], "image", images)
    assert [one.name for one in found[1:]] == [
        "dark images (mean up to 0.20 of 1)",
        "images of middle brightness (mean 0.20 to 0.60 of 1)",
        "bright images (mean over 0.60 of 1)",
    ]


def test_texts_of_one_length_are_one_slice() -> None:
    found = slices_of(np.zeros(4, dtype=np.int64), ["x"], "text", ["abc"] * 4)
    assert [one.name for one in found] == ["x", "short texts (up to 3 characters)"]


@given(st.lists(st.text(max_size=9), min_size=1, max_size=30))
def test_every_record_is_in_one_class_and_one_third(texts: list[str]) -> None:
    true = (characters(texts) % 3).astype(np.int64)
    found = slices_of(true, ["a", "b", "c"], "text", texts)
    for kind in ("class", "length"):
        members = [one.members for one in found if one.kind == kind]
        assert (np.sum(members, axis=0) == 1).all()
        assert all(one.any() for one in members)
