"""Token ids in flat arrays: texts end to end, and batches of whole texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inputs import documents as _documents
from tasks.inputs.documents import Documents, Stream, TokenInputs


def documents(texts: list[list[int]]) -> Documents:
    starts = np.cumsum([0, *map(len, texts)])
    tokens = np.array([token for text in texts for token in text], np.uint16)
    return Documents(tokens, starts, starts[:-1])


def test_counting_tokens_piece_by_piece_counts_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_documents, "TOKENS_PER_COUNT", 3)
    read = documents([[5, 6, 5], [5], [2, 6, 6, 1]])
    expected = np.log(np.array([1, 2, 2, 1, 1, 4, 4, 1]) / 16)
    assert np.allclose(read.unigram_log_probabilities(8), expected, rtol=1e-12)


@given(
    texts=st.lists(st.lists(st.integers(5, 60000), max_size=9), min_size=1, max_size=6),
    start=st.integers(0, 40),
)
def test_a_stream_is_the_texts_end_to_end_with_separators(
    texts: list[list[int]], start: int
) -> None:
    stream = Stream(documents(texts), 3)
    whole = [3] + [token for text in texts for token in (*text, 3)]
    assert len(stream) == len(whole)
    positions = np.arange(min(start, len(whole) - 1), len(whole))[None]
    assert stream.tokens(positions)[0].tolist() == whole[int(positions[0, 0]) :]


def test_the_unigram_of_a_stream_counts_separators_too() -> None:
    stream = Stream(documents([[5, 6], [6]]), 3)
    expected = np.log(np.array([1, 1, 1, 3, 1, 2, 3, 1]) / 13)
    assert np.allclose(stream.unigram_log_probabilities(8), expected)


@given(
    sequences=st.lists(
        st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=1, max_size=8
    ),
    data=st.data(),
)
def test_a_batch_holds_the_sequences_asked_for_and_a_mask_where_it_is_padded(
    sequences: list[list[int]], data: st.DataObject
) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(sequences) - 1), min_size=1, max_size=6))
    flat = np.array([token for sequence in sequences for token in sequence], np.int32)
    inputs = TokenInputs(flat, np.cumsum([0, *map(len, sequences)]), padding_token=0)
    batch = inputs.batch(np.array(chosen))
    lengths = [len(sequences[index]) for index in chosen]
    for row, index in enumerate(chosen):
        padding = [0] * (max(lengths) - lengths[row])
        assert batch["input_ids"][row].tolist() == sequences[index] + padding
    assert ("attention_mask" in batch) == (len(set(lengths)) > 1)
    if "attention_mask" in batch:
        assert batch["attention_mask"].sum(1).tolist() == lengths
