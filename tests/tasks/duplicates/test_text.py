"""Texts that are nearly the same, planted and found."""

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.duplicates import sets as sets_module
from tasks.duplicates import text as module
from tasks.duplicates.sets import Sets
from tasks.duplicates.text import clusters


def similarity(first: str, second: str, words: int = 3) -> float:
    """Return what share of their runs of words two texts have in common, counted one by one."""

    def runs(text: str) -> set[tuple[str, ...]]:
        found = text.split()
        return {tuple(found[at : at + words]) for at in range(max(1, len(found) - words + 1))}

    return len(runs(first) & runs(second)) / len(runs(first) | runs(second))


def edited(text: str, lowest: float, highest: float, draw: random.Random) -> str:
    """Swap words until what is left is as similar to the text as asked for."""
    words = text.split()
    while similarity(text, " ".join(words)) > highest:
        words[draw.randrange(len(words))] = f"swapped{draw.randrange(1000)}"
    found = " ".join(words)
    return found if similarity(text, found) >= lowest else edited(text, lowest, highest, draw)


def prose(number: int, draw: random.Random) -> list[str]:
    """Return texts of 40 to 200 words, some words common and most rare."""
    words = [f"word{index}" for index in range(3000)]
    weights = [1 / (index + 1) for index in range(3000)]
    return [
        " ".join(draw.choices(words, weights, k=draw.randrange(40, 200))) for _ in range(number)
    ]


def partition(found: np.ndarray, texts: list[str]) -> set[frozenset[str]]:
    members: dict[int, set[str]] = {}
    for text, cluster in zip(texts, found.tolist(), strict=True):
        members.setdefault(cluster, set()).add(text)
    return {frozenset(cluster) for cluster in members.values()}


def test_edits_at_the_limit_are_found_and_those_beyond_it_are_not() -> None:
    draw = random.Random(0)  # noqa: S311
    inside, outside = prose(400, draw), prose(400, draw)
    near = [edited(text, 0.80, 0.84, draw) for text in inside]
    far = [edited(text, 0.72, 0.79, draw) for text in outside]
    texts = [*inside, *outside, *near, *far]
    found = clusters(texts, similarity=0.8)
    joined = {(int(first), index) for index, first in enumerate(found) if first != index}
    planted = {(index, 800 + index) for index in range(400)}
    assert len(joined & planted) / len(planted) >= 0.95  # recall
    assert len(joined & planted) / len(joined) >= 0.95  # precision


def test_each_text_is_given_the_first_of_its_cluster() -> None:
    texts = ["one two three four", "five six", "One, two, three, four!", "five six", "?", "!"]
    assert clusters(texts, similarity=0.8).tolist() == [0, 1, 0, 1, 4, 5]
    assert clusters([], similarity=0.8).tolist() == []
    assert clusters(["a"], similarity=0.8).tolist() == [0]


def test_chinese_texts_are_compared_by_their_characters() -> None:
    text = "今天天气很好我们一起去公园散步然后吃饭看电影最后回家休息明天再去上班工作学习"
    other = "昨天他没有来参加会议因为身体不舒服所以请假在家休养医生说需要多喝水少熬夜才行"
    found = clusters([text, other, text.replace("饭", "面")], similarity=0.8)
    assert found.tolist() == [0, 1, 0]


def test_similar_texts_are_joined_through_others() -> None:
    draw = random.Random(1)  # noqa: S311
    first = prose(1, draw)[0]
    second = edited(first, 0.80, 0.86, draw)
    third = edited(second, 0.80, 0.86, draw)
    assert similarity(first, third) < 0.8
    assert clusters([third, first, second], similarity=0.8).tolist() == [0, 0, 0]


def test_a_template_with_many_fillings_is_one_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEIGHBOURS", 4)
    template = " ".join(f"word{number}" for number in range(50))
    texts = [f"{template} {number}" for number in range(500)]
    assert set(clusters(texts, similarity=0.8).tolist()) == {0}


def fillings_in_pairs(number: int) -> list[str]:
    """Return pairs of 0.99, of which each is like all others by 0.93 to 0.97: one template."""
    draw = random.Random(2)  # noqa: S311
    texts = []
    for filling in range(number):
        words = [f"word{place}" for place in range(600)]
        for place in draw.sample(range(0, 600, 3), 4):
            words[place] = f"filling{filling}at{place}"
        texts.append(" ".join(words))
        words[draw.randrange(600)] = f"edit{filling}"
        texts.append(" ".join(words))
    return texts


def test_pairs_in_a_crowd_of_one_template_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEIGHBOURS", 4)
    texts = fillings_in_pairs(150)
    assert similarity(texts[0], texts[1]) >= 0.985 > similarity(texts[0], texts[2])
    expected = [at - at % 2 for at in range(len(texts))]
    assert clusters(texts, similarity=0.985).tolist() == expected
    assert clusters(texts[::-1], similarity=0.985).tolist() == expected


@given(st.randoms(use_true_random=False), st.sampled_from([0.55, 0.7, 0.8, 0.9, 1.0]))
@settings(deadline=None, max_examples=30)
def test_of_similar_texts_one_of_the_rarest_shingles_is_the_same(
    draw: random.Random, limit: float
) -> None:
    words = [f"word{place}" for place in range(30)]
    texts = [" ".join(draw.choices(words[: draw.randrange(5, 30)], k=20)) for _ in range(20)]
    sets = Sets([texts], 1)
    found = list(sets.rarest(np.arange(20), limit))
    which, shingle = (np.concatenate(columns) for columns in zip(*found, strict=True))
    assert len(which) == sets.num_rarest(np.arange(20), limit)
    rarest = [set(shingle[which == text].tolist()) for text in range(20)]
    for first, second in combinations(range(20), 2):
        is_similar = similarity(texts[first], texts[second], 1) >= limit
        confirmed, _ = sets.similar(np.array([first]), np.array([second]), limit)
        assert len(confirmed) == is_similar
        assert not is_similar or rarest[first] & rarest[second]


def test_how_much_is_in_memory_at_a_time_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEIGHBOURS", 4)
    texts = [*fillings_in_pairs(40), *prose(20, random.Random(3))]  # noqa: S311
    texts += [edited(text, 0.80, 0.90, random.Random(4)) for text in texts[-20:]]  # noqa: S311
    expected = clusters(texts, similarity=0.8).tolist()
    assert len(set(expected)) == 21
    monkeypatch.setattr(module, "BATCH_CHARACTERS", 3000)
    monkeypatch.setattr(module, "ITEMS_AT_ONCE", 500)
    monkeypatch.setattr(sets_module, "ITEMS_AT_ONCE", 500)
    monkeypatch.setattr(sets_module, "SKETCH_BYTES", 0)
    monkeypatch.setattr(sets_module, "FOLD_EVERY", 1)
    assert clusters(texts, similarity=0.8).tolist() == expected


def test_the_limit_is_part_of_the_cluster() -> None:
    # 55 of 100, which is less than 0.55 times 100 as a computer has it.
    some, more = (" ".join(f"word{place}" for place in range(number)) for number in (55, 100))
    assert clusters([some, more], similarity=0.55, words=1).tolist() == [0, 0]
    # 4 of 5 runs of one word.
    assert clusters(["a b c d", "a b c d e"], similarity=0.8, words=1).tolist() == [0, 0]
    assert clusters(["a b c d", "a b c d e"], similarity=0.81, words=1).tolist() == [0, 1]


WORD = st.sampled_from("abcdefgh")
TEXTS = st.lists(st.lists(WORD, max_size=12).map(" ".join), max_size=12)


@given(TEXTS, st.randoms(use_true_random=False), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
@settings(deadline=None)
def test_order_does_not_matter(texts: list[str], draw: random.Random, limit: float) -> None:
    shuffled = draw.sample(texts, len(texts))
    there = partition(clusters(texts, similarity=limit), texts)
    assert partition(clusters(shuffled, similarity=limit), shuffled) == there


@given(TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
@settings(deadline=None)
def test_nothing_is_joined_that_is_not_similar(texts: list[str], limit: float) -> None:
    texts = [text for text in texts if text]
    near = {pair for pair in combinations(set(texts), 2) if similarity(*pair) >= limit}
    for cluster in partition(clusters(texts, similarity=limit), texts):
        reached = {min(cluster)}
        while more := {b for a, b in near | {(b, a) for a, b in near} if a in reached} - reached:
            reached |= more
        assert cluster <= reached
