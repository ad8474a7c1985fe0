"""Texts end to end."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.inputs.documents import Documents
from tasks.inputs.stream import Stream


def documents(texts: list[list[int]]) -> Documents:
    starts = np.cumsum([0, *map(len, texts)])
    tokens = np.array([token for one in texts for token in one], np.uint16)
    return Documents(tokens, starts, starts[:-1])


@given(
    texts=st.lists(st.lists(st.integers(5, 60000), max_size=9), min_size=1, max_size=6),
    start=st.integers(0, 40),
)
def test_a_stream_is_the_texts_end_to_end_with_separators(
    texts: list[list[int]], start: int
) -> None:
    stream = Stream(documents(texts), 3)
    whole = [3] + [token for one in texts for token in (*one, 3)]
    assert len(stream) == len(whole)
    places = np.arange(min(start, len(whole) - 1), len(whole))[None]
    assert stream.tokens(places)[0].tolist() == whole[int(places[0, 0]) :]


def test_the_unigram_counts_separators_too() -> None:
    stream = Stream(documents([[5, 6], [6]]), 3)
    expected = np.log(np.array([1, 1, 1, 3, 1, 2, 3, 1]) / 13)
    assert np.allclose(stream.unigram_log_probabilities(8), expected)
