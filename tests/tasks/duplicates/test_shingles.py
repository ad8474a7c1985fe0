"""A text as a set of runs of words."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.duplicates import shingles as module
from tasks.duplicates.shingles import blocks, shingles


def sets(texts: list[str], words: int = 2) -> list[frozenset[int]]:
    """Return the set of shingles of each text."""
    hashes, offsets = shingles(texts, words)
    return [frozenset(hashes[start:end].tolist()) for start, end in pairwise(offsets)]


def test_a_shingle_is_so_many_words() -> None:
    hashes, offsets = shingles(["a b a b c", "a b", "x", "", "?!"], 2)
    assert offsets.tolist() == [0, 4, 5, 6, 6, 6]
    first = hashes.tolist()
    assert first[0] == first[2] == first[4]  # a b
    assert len(set(first)) == 4


def test_case_punctuation_and_white_space_do_not_count() -> None:
    plain, written = sets(["the cat sat", "\n«The» cat\tSAT!"])
    assert plain == written


def test_the_order_of_words_counts() -> None:
    first, second = sets(["a b", "b a"])
    assert first.isdisjoint(second)


def test_a_run_of_letters_is_not_two_words() -> None:
    assert len(set(sets(["ab c", "a bc", "a b c", "abc"]))) == 4


@pytest.mark.parametrize("text", ["我喜欢吃", "กขคง", "カタキナ", "ㄅㄆㄇㄈ"])
def test_in_scripts_without_spaces_each_character_is_a_word(text: str) -> None:
    assert len(sets([text], 1)[0]) == 4
    assert sets([text], 2) == sets([" ".join(text)], 2)


def test_vowel_signs_are_parts_of_words() -> None:
    assert [len(found) for found in sets(["नमस्ते दुनिया", "Straße café"], 1)] == [2, 2]


@given(st.lists(st.text(max_size=12), max_size=6), st.integers(1, 4))
def test_a_text_is_hashed_alike_whatever_stands_beside_it(texts: list[str], words: int) -> None:
    assert sets(texts, words) == [sets([text], words)[0] for text in texts]


def test_blocks_hold_every_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_CHARACTERS", 10)
    texts = ["a" * 4, "b" * 4, "c" * 30, "", "d"]
    assert [texts[block] for block in blocks(texts)] == [texts[:2], texts[2:3], texts[3:]]
    assert list(blocks([])) == []
