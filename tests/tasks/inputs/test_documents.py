"""Texts in flat arrays, and their two segments."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inputs.documents import Documents, read_documents, split_sentences
from tasks.inputs.tokenizer import train_tokenizer


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("今天晴。明天有雨！好吗？", ["今天晴。", "明天有雨！", "好吗？"]),  # noqa: RUF001 - Chinese marks
        ("version 1.16.3 is out", ["version 1.16.3 is out"]),
        ("first\nsecond", ["first", "second"]),
        ("...", ["..."]),
    ],
)
def test_sentences_end_in_any_script(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text("ab.!?。！।؟\n \t", max_size=30))  # noqa: RUF001 - marks of several scripts
def test_sentences_are_cut_as_the_plain_rule_says(text: str) -> None:
    rule = r"(?<=[.!?।؟])\s+|(?<=[。！？；])|\n+"  # noqa: RUF001
    plain = [part for part in re.split(rule, text) if part.strip()] or [text]
    assert split_sentences(text) == plain


def documents(lengths: list[list[int]]) -> Documents:
    """Return texts whose sentences have the given lengths; token n stands at place n."""
    flat = [length for text in lengths for length in text]
    return Documents(
        tokens=np.arange(sum(flat), dtype=np.int32),
        text_starts=np.cumsum([0, *map(sum, lengths)]),
        sentence_starts=np.cumsum([0, *flat[:-1]]),
    )


@given(
    lengths=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6), min_size=1, max_size=5),
    room=st.integers(5, 60),
    seed=st.integers(0, 2**32),
)
def test_two_segments_are_neighbours_within_one_text(
    lengths: list[list[int]], room: int, seed: int
) -> None:
    made = documents(lengths)
    index = seed % len(made)
    first, second = made.two_segments(index, room, np.random.default_rng(seed))
    joined = [*first, *second]
    start, end = made.text_starts[index], made.text_starts[index + 1]
    assert joined == list(range(joined[0], joined[0] + len(joined)))
    assert start <= joined[0]
    assert joined[-1] < end
    assert len(joined) == min(room, end - start)


def test_the_cut_is_where_a_sentence_begins() -> None:
    made = documents([[4, 3]])
    first, second = made.two_segments(0, 100, np.random.default_rng(0))
    assert (len(first), len(second)) == (4, 3)


def test_a_text_of_one_sentence_is_halved() -> None:
    first, second = documents([[7]]).two_segments(0, 100, np.random.default_rng(0))
    assert (len(first), len(second)) == (3, 4)


def test_reading_keeps_every_token_of_every_text(texts: tuple[Path, Path]) -> None:
    from tasks.contracts import records

    contents = records.read_table(texts[1])["text"].to_pylist()
    tokenizer = train_tokenizer(lambda: contents, 500)
    read = read_documents(texts[1], tokenizer)
    assert len(read) == len(contents)
    for index, text in enumerate(contents):
        expected = [
            token
            for sentence in split_sentences(text)
            for token in tokenizer.encode(sentence, add_special_tokens=False).ids
        ]
        start, end = read.text_starts[index], read.text_starts[index + 1]
        assert read.tokens[start:end].tolist() == expected
