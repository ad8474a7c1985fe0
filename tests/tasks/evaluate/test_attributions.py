"""Examples: the most confident ones, with what the model looked at, safely shown."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tasks.contracts import files, records
from tasks.contracts.paths import Part
from tasks.evaluate.attributions import (
    most_confident_right,
    most_confident_wrong,
    overlay,
    words_html,
    words_markdown,
)
from tasks.evaluate.settings import Settings
from tasks.evaluate.stage import run
from tasks.metrics.scores import Scored
from tasks.models.attribution import Piece
from tests.classifiers import sample_texts, save_text_classifier, write_finetuned_on

Digits = tuple[Path, Path, dict[Part, Path]]
EVIL = "<script>alert(1)</script>"


def _scored(true: list[int], predicted: list[int], confidence: list[float]) -> Scored:
    scores = np.full((len(true), 3), 0.01)
    scores[np.arange(len(true)), predicted] = confidence
    return Scored(np.array(true), np.array(predicted), scores)


def test_the_most_confident_records_come_first_right_ones_of_different_classes() -> None:
    scored = _scored([0, 0, 1, 0, 1, 2], [0, 0, 1, 1, 2, 2], [0.9, 0.8, 0.7, 0.5, 0.6, 0.4])
    assert most_confident_wrong(scored, 5) == [4, 3]
    assert most_confident_wrong(scored, 1) == [4]
    assert most_confident_right(scored, 5) == [0, 2, 5]
    assert most_confident_right(scored, 2) == [0, 2]


def test_words_are_coloured_by_their_weight() -> None:
    pieces = [Piece("oil ", 1.0), Piece("is ", 0.02), Piece("dear", -0.52)]
    assert words_html(pieces) == (
        '<p class="words"><mark class="for" style="background: rgba(31, 95, 168, 0.60)" '
        'title="+1.00">oil</mark> is <mark class="against" '
        'style="background: rgba(194, 87, 12, 0.30)" title="-0.52">dear</mark></p>'
    )
    assert words_markdown(pieces, " …") == "> **oil** is dear …"


def test_words_are_never_markup() -> None:
    pieces = [Piece(f"{EVIL} ", 1.0), Piece("*bold*\n\n# title", 0.0), Piece(EVIL, -1.0)]
    assert "<script" not in words_html(pieces)
    assert words_html(pieces).count("&lt;script&gt;") == 2
    assert "\n" not in words_markdown(pieces)
    assert "<script" not in words_markdown(pieces).replace("\\<", "")
    assert "\\*bold\\*" in words_markdown(pieces)


def test_a_model_without_single_tokens_is_said_to_have_no_explanation() -> None:
    assert words_markdown([]) == "No explanation: the model does not look at single tokens."
    assert words_html([]) == f"<p>{words_markdown([])}</p>"


@pytest.mark.parametrize("channels", [1, 3])
def test_an_overlay_shows_the_image_and_its_weights(channels: int) -> None:
    pixels = np.zeros((channels, 2, 2), dtype=np.uint8)
    weights = np.array([[1.0, 0.0], [0.0, 0.0]])
    with Image.open(io.BytesIO(overlay(pixels, weights))) as drawn:
        assert drawn.size == (128 + 8 + 128, 128)
        assert drawn.getpixel((10, 10)) == (0, 0, 0)
        assert drawn.getpixel((132, 10)) == (255, 255, 255)
        assert drawn.getpixel((146, 10)) == (214, 69, 0)
        assert drawn.getpixel((254, 10)) == (128, 128, 128)


def test_images_are_explained_on_both_cards(digits: Digits, tmp_path: Path) -> None:
    model, twin, splits = digits
    settings = Settings(bootstrap_samples=100, shown_examples=2)
    run("digits", model, twin, splits, tmp_path, settings, 0)
    names = sorted(path.name for path in (tmp_path / "plots").glob("example-*"))
    assert names == [f"example-{group}-{n}.png" for group in ("right", "wrong") for n in (1, 2)]
    card = (tmp_path / "README.md").read_text()
    assert "### Most confidently wrong\n\npredicted **digit " in card
    assert all(f"](plots/{name})" in card for name in names)
    page = (tmp_path / "README.html").read_text()
    assert page.count("and the pixels that matter") == 4
    # Three plots and four examples, all inside the page.
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 7


def test_without_shown_examples_the_card_has_no_such_section(
    digits: Digits, tmp_path: Path
) -> None:
    model, twin, splits = digits
    settings = Settings(bootstrap_samples=100, shown_examples=0)
    run("digits", model, twin, splits, tmp_path, settings, 0)
    assert "Examples" not in (tmp_path / "README.md").read_text()
    assert not list((tmp_path / "plots").glob("example-*"))


def test_texts_are_explained_and_the_same_bytes_come_again(tmp_path: Path) -> None:
    texts, labels = sample_texts()
    order = np.random.default_rng(0).permutation(len(texts)).tolist()
    schema = records.split_schema("text")
    splits: dict[Part, Path] = {}
    ends: dict[Part, tuple[int, int]] = {
        "train": (0, 120),
        "validation": (120, 130),
        "test": (130, 190),
    }
    for part, (start, end) in ends.items():
        chosen = order[start:end]
        columns = [[f"id{n}" for n in chosen], [texts[n] for n in chosen]]
        batch = pa.record_batch([*columns, [labels[n] for n in chosen]], schema=schema)
        splits[part] = tmp_path / "reuters" / f"{part}.parquet"
        records.write_records(splits[part], schema, [batch])
    sizes = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64}
    save_text_classifier(tmp_path / "model", "bert", sizes, num_steps=25)
    files.write_json(tmp_path / "twin" / "downstream.json", {"trained": False})
    write_finetuned_on(tmp_path, splits["train"])
    settings = Settings(bootstrap_samples=100)
    for output in ("one", "two"):
        run("m", tmp_path / "model", tmp_path / "twin", splits, tmp_path / output, settings, 0)
    card = (tmp_path / "one" / "README.md").read_text()
    assert len([line for line in card.splitlines() if line.startswith("> ")]) >= 3
    assert '<mark class="for"' in (tmp_path / "one" / "README.html").read_text()
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
