"""The wide part of a classifier: n-grams, their scores, and what lies in its folder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.models.wide import Ngrams, NgramScores, WidePart

WORDS, CHARACTERS = Ngrams("word", 1, 2), Ngrams("char", 1, 3)
TEXTS = ["Net profit of the company", "Straße İstanbul — ΟΔΟΣ  东京\u3000オ", "wheat, corn; wheat"]
LETTERS = st.sampled_from("aB é ß İ ΟΣ \u03c3 东京 \n\t,.'-_0\uff19 \u00a0")


def ngram_scores(ngrams: Ngrams, texts: list[str] = TEXTS) -> NgramScores:
    """Return some that know all n-grams of some texts, with random weights for three classes."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    fitted = TfidfVectorizer(sublinear_tf=True, **ngrams.options()).fit(texts)
    random = np.random.default_rng(0)
    names = fitted.get_feature_names_out()
    weights = random.normal(size=(len(names), 3)).astype(np.float32)
    biases = random.normal(size=3).astype(np.float32)
    return NgramScores(ngrams, [str(name) for name in names], fitted.idf_, weights, biases)


@pytest.mark.parametrize("kinds", [[WORDS], [CHARACTERS], [WORDS, CHARACTERS]])
def test_a_saved_part_gives_the_same_scores_to_the_bit(kinds: list[Ngrams], tmp_path: Path) -> None:
    part = WidePart([ngram_scores(ngrams) for ngrams in kinds])
    part.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"wide.json", "wide.safetensors"}
    loaded = WidePart.load(tmp_path)
    texts = [*TEXTS, "", "profit profit WHEAT unknown"]
    assert np.array_equal(loaded.scores(texts), part.scores(texts))
    assert len(np.unique(part.scores(TEXTS))) == 9


@pytest.mark.parametrize("ngrams", [WORDS, CHARACTERS])
@given(text=st.text(LETTERS, max_size=40))
def test_ngrams_are_found_where_scikit_learn_finds_them(ngrams: Ngrams, text: str) -> None:
    part = ngram_scores(ngrams)
    found = list(part._places(text))
    assert sorted(ngram for ngram, _, _ in found) == sorted(part._vectorizer.build_analyzer()(text))
    assert all(0 <= start < end <= len(text) for _, start, end in found)


def test_a_place_is_that_of_the_text_itself_also_where_small_letters_are_more() -> None:
    text = "İİ Fresh ΟΔΟΣ"  # the first letter is two when it is small
    places = {ngram: text[start:end] for ngram, start, end in ngram_scores(WORDS)._places(text)}
    assert places["fresh"] == "Fresh"
    assert places["fresh οδος"] == "Fresh ΟΔΟΣ"


@pytest.mark.parametrize("ngrams", [WORDS, CHARACTERS])
def test_what_the_characters_add_is_the_score_without_its_bias(ngrams: Ngrams) -> None:
    part = ngram_scores(ngrams)
    for text in TEXTS:
        spread = part.word_scores(text, 1)
        assert spread.shape == (len(text),)
        expected = part.scores([text])[0, 1] - part._biases[1]
        assert spread.sum() == pytest.approx(expected, abs=1e-5)


def test_words_and_characters_are_added() -> None:
    words, characters = ngram_scores(WORDS), ngram_scores(CHARACTERS)
    both = WidePart([words, characters])
    assert np.array_equal(both.scores(TEXTS), words.scores(TEXTS) + characters.scores(TEXTS))
    text = TEXTS[1]
    expected = words.word_scores(text, 2) + characters.word_scores(text, 2)
    assert np.array_equal(both.word_scores(text, 2), expected)
