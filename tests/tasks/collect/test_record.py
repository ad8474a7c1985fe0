"""Records are grouped into batches of bounded size."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.collect import record
from tasks.collect.record import Record, as_batches, modality_of


def test_bytes_are_an_image_and_a_string_is_a_text() -> None:
    assert modality_of(Record(b"\x89PNG", None, None, "files:a.png", 1)) == "image"
    assert modality_of(Record("a", None, None, "files:a.txt", 1)) == "text"


@given(st.lists(st.text(alphabet="ab中", max_size=5), max_size=30))
def test_batches_hold_every_record_in_order(texts: list[str]) -> None:
    records = [Record(text, None, None, "s", row) for row, text in enumerate(texts, start=1)]
    batches = list(as_batches(records, "text"))
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == texts


def test_large_images_end_a_batch_early() -> None:
    image = bytes(record.BATCH_BYTES // 2)
    records = [Record(image, "a", "train", "s", row) for row in range(1, 6)]
    assert [batch.num_rows for batch in as_batches(records, "image")] == [2, 2, 1]
