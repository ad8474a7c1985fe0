"""Flipped records: the most confident first, short enough to be read."""

import base64
import io

import numpy as np
from PIL import Image

from tasks.metrics.predictions import Labelled
from tasks.metrics.scores import Scored
from tasks.promotion.comparison.examples import excerpt, flipped


def _png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), 77).save(file, "PNG")
    return file.getvalue()


def _size(image: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(image)) as opened:
        return opened.size


def _scored(predicted: list[int], confidence: list[float]) -> Scored:
    scores = np.array(
        [[c, 1 - c] if p == 0 else [1 - c, c] for p, c in zip(predicted, confidence, strict=True)]
    )
    return Scored(np.zeros(len(predicted), dtype=np.int64), np.array(predicted), scores)


def test_flips_go_by_the_confidence_of_the_candidate() -> None:
    candidate = _scored([1, 1, 0, 0, 1], [0.7, 0.9, 0.8, 0.6, 0.99])
    champion = _scored([0, 0, 1, 1, 1], [0.6, 0.6, 0.6, 0.55, 0.9])
    test = Labelled("text", list("vwxyz"), ["one", "two", "three", "four", "five"], ["a"] * 5, 0)
    found = flipped(candidate, champion, ["a", "b"], test, 10)
    assert [flip["id"] for flip in found["lost"]] == ["w", "v"]
    assert [flip["id"] for flip in found["won"]] == ["x", "y"]
    assert found["lost"][0] == {
        "id": "w",
        "label": "a",
        "candidate": "b",
        "champion": "a",
        "candidate_confidence": 0.9,
        "champion_confidence": 0.6,
        "excerpt": "two",
    }
    one = flipped(candidate, champion, ["a", "b"], test, 1)
    assert [flip["id"] for flip in one["won"]] == ["x"]
    assert flipped(candidate, champion, ["a", "b"], test, 0) == {"won": [], "lost": []}


def test_images_are_shown_as_thumbnails() -> None:
    test = Labelled("image", ["v"], [_png(8, 8)], ["a"], 0)
    found = flipped(_scored([0], [0.9]), _scored([1], [0.9]), ["a", "b"], test, 1)
    assert _size(base64.b64decode(found["won"][0]["thumbnail"])) == (96, 96)


def test_an_excerpt_is_one_line_cut_between_words() -> None:
    assert excerpt("two\n  words") == "two words"
    long = excerpt("word " * 100)
    assert long.endswith("word …")
    assert len(long) <= 282
    assert excerpt("x" * 500) == "x" * 280 + " …"
