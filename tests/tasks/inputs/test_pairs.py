"""Pairs of segments: nothing but what they say tells a stranger's segment from a text's own."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.inputs import pairs
from tasks.inputs.documents import Documents
from tasks.inputs.pairs import SegmentPairs


def counting(lengths: list[list[int]]) -> Documents:
    """Return texts whose sentences have the given lengths; token n stands at position n."""
    flat = [length for text in lengths for length in text]
    return Documents(
        tokens=np.arange(sum(flat), dtype=np.int32),
        text_starts=np.cumsum([0, *map(sum, lengths)]),
        sentence_starts=np.cumsum([0, *flat[:-1]]),
    )


def drawn(
    documents: Documents, room: int, number: int = 1, seed: int = 0
) -> list[tuple[int, np.ndarray, np.ndarray, int]]:
    """Return pairs of all texts, each with its text."""
    segments = SegmentPairs(documents)
    generator = np.random.default_rng(seed)
    return [
        (index, *segments.pair(index, room, generator, strangers=True))
        for _ in range(number)
        for index in range(len(documents))
    ]


LENGTHS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6), min_size=1, max_size=8)


@given(lengths=LENGTHS, room=st.integers(5, 60), seed=st.integers(0, 2**32))
def test_a_second_segment_follows_the_first_or_is_of_another_text_and_as_long(
    lengths: list[list[int]], room: int, seed: int
) -> None:
    made = counting(lengths)
    segments = SegmentPairs(made)
    for index in range(len(made)):
        own = segments.pair(index, room, np.random.default_rng(seed), strangers=False)
        joined = [*own[0], *own[1]]
        start, end = made.text_starts[index : index + 2]
        assert joined == list(range(joined[0], joined[0] + min(room, end - start)))
        assert start <= joined[0] <= joined[-1] < end
        first, second, is_stranger = segments.pair(
            index, room, np.random.default_rng(seed), strangers=True
        )
        assert first.tolist() == own[0].tolist()
        longest = max((sum(text) - 1 for i, text in enumerate(lengths) if i != index), default=0)
        assert len(second) == min(len(own[1]), longest)
        if not is_stranger:
            assert second.tolist() == own[1][: len(second)].tolist()
            continue
        text = np.searchsorted(made.text_starts, second[0], "right") - 1
        assert text != index
        assert made.text_starts[text] < second[0] <= second[-1] < made.text_starts[text + 1]
        ends = made.text_starts[1:] - 1
        if own[1][-1] == ends[index] and len(own[1]) == len(second):
            assert second[-1] == ends[text]


def test_half_of_the_pairs_have_a_stranger() -> None:
    kinds = [kind for *_, kind in drawn(counting([[9, 8, 7]] * 50), 20, number=20)]
    assert 0.45 < np.mean(kinds) < 0.55


def test_segments_begin_where_sentences_do_where_there_are_any() -> None:
    made = counting([[4, 3, 6], [5, 3, 2, 8], [2, 9, 3, 3]] * 10)
    for _, _, second, _ in drawn(made, 100, number=20):
        assert second[0] in made.sentence_starts


def test_a_text_of_one_sentence_is_cut_anywhere() -> None:
    cuts = {len(first) for _, first, _, _ in drawn(counting([[7], [9]]), 100, number=100)}
    assert cuts == set(range(1, 9))


def test_a_corpus_of_one_text_has_no_strangers() -> None:
    assert [kind for *_, kind in drawn(counting([[4, 3]]), 100, number=20)] == [0] * 20


def test_of_a_large_corpus_some_texts_are_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "MOST_STRANGERS", 3)
    made = counting([[9]] * 100)
    seen = {int(second[0]) // 9 for _, _, second, kind in drawn(made, 20, number=9) if kind}
    assert seen == {0, 49, 99}


@pytest.mark.parametrize("sentences", [False, True])
def test_lengths_alone_tell_nothing(texts: tuple[Path, Path], sentences: bool) -> None:
    """Real texts; a forest that sees both lengths alone is right half of the time."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    from tasks.inputs.tokenising import read_texts

    words = [content.split() for content in read_texts(texts[0])]
    lengths = [
        [10] * (len(text) // 10) + [len(text) % 10 or 1] if sentences else [len(text)]
        for text in words
    ]
    made = drawn(counting(lengths), 93, number=30)
    seen = np.array([(len(first), len(second)) for _, first, second, _ in made])
    kinds = np.array([kind for *_, kind in made])
    forest = RandomForestClassifier(30, min_samples_leaf=5, random_state=0, n_jobs=1)
    accuracy = cross_val_score(forest, seen, kinds, cv=3).mean()
    assert 0.47 < accuracy < 0.53
