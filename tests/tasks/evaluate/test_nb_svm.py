"""NB-SVM: what it weighs n-grams by, and that it learns, in any script."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from tasks.evaluate import nb_svm
from tasks.evaluate.nb_svm import log_count_ratios, nb_svm_baseline
from tests.classifiers import sample_texts

Part = tuple[list[str], list[str]]


def test_ngrams_are_weighed_by_the_log_of_how_much_more_often_they_stand_in_a_class() -> None:
    features = csr_matrix(np.array([[1, 1, 0], [1, 0, 0], [0, 1, 1]], dtype=float))
    ratios = log_count_ratios(features, np.array([True, True, False]))
    inside, outside = np.array([3, 2, 1]) / 6, np.array([1, 2, 2]) / 5
    assert ratios == pytest.approx(np.log(inside / outside))


def test_real_texts_are_told_apart() -> None:
    texts, labels = sample_texts()
    parts = [([*texts[start::3]], [*labels[start::3]]) for start in range(3)]
    found = nb_svm_baseline(parts[0], parts[1], parts[0], parts[2][0])
    assert np.mean(np.array(found) == np.array(parts[2][1])) > 0.8
    assert found == nb_svm_baseline(parts[0], parts[1], parts[0], parts[2][0])


def test_chinese_is_told_apart_by_its_characters() -> None:
    market, sport = "股市今天上涨投资者高兴", "球队昨晚赢得比赛冠军"
    train = ([market + str(n) for n in range(5)] + [sport + str(n) for n in range(5)],)
    part: Part = (*train, ["market"] * 5 + ["sport"] * 5)
    assert nb_svm_baseline(part, part, part, ["投资者", "冠军"]) == ["market", "sport"]


def test_the_validation_split_chooses_how_much_of_naive_bayes_is_mixed_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts, labels = sample_texts()
    train, rest = (texts[::4], labels[::4]), (texts[1::4], labels[1::4])
    chosen = nb_svm_baseline(train, rest, train, rest[0])
    by_share = []
    for share in nb_svm.SHARES:
        monkeypatch.setattr(nb_svm, "SHARES", (share,))
        by_share.append(nb_svm_baseline(train, rest, train, rest[0]))
    right = [np.mean(np.array(found) == np.array(rest[1])) for found in by_share]
    assert min(right) < max(right)
    assert chosen == by_share[int(np.argmax(right))]


def test_texts_that_share_nothing_and_a_single_class_do_not_fail() -> None:
    part: Part = (["one", "two"], ["x", "y"])
    assert nb_svm_baseline(part, part, part, ["one", "two"]) == ["x", "y"]
    only: Part = (["one", "two"], ["x", "x"])
    assert nb_svm_baseline(only, only, only, ["three"]) == ["x"]


def test_it_is_trained_on_the_validation_texts_too_where_the_model_is() -> None:
    train: Part = (["corn wheat", "corn wheat", "profit loss", "profit loss"], ["a", "a", "b", "b"])
    validation: Part = (["oil barrel", "oil barrel"], ["b", "b"])
    both: Part = ([*train[0], *validation[0]], [*train[1], *validation[1]])
    test = ["oil barrel wheat"]
    assert nb_svm_baseline(train, validation, train, test) == ["a"]
    assert nb_svm_baseline(train, validation, both, test) == ["b"]
