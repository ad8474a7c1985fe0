"""Metrics agree with hand-worked examples and with scikit-learn."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from tasks.metrics import scores
from tasks.metrics.scores import Answers, Floats, Scored


def _answers(true: list[int], predicted: list[int]) -> Answers:
    return Answers(np.array(true), np.array(predicted))


def _scored(true: list[int], rows: list[list[float]]) -> Scored:
    table = np.array(rows)
    return Scored(np.array(true), table.argmax(axis=1), table)


@st.composite
def scored(draw: st.DrawFn) -> Scored:
    num_classes = draw(st.integers(2, 4))
    num_records = draw(st.integers(1, 30))
    # Few distinct scores, so that ties are common.
    row = st.lists(st.integers(0, 3), min_size=num_classes, max_size=num_classes)
    rows = np.array(draw(st.lists(row, min_size=num_records, max_size=num_records)), dtype=float)
    rows = (rows + 0.5) / (rows + 0.5).sum(axis=1, keepdims=True)
    label = st.integers(0, num_classes - 1)
    true = draw(st.lists(label, min_size=num_records, max_size=num_records))
    return _scored(true, rows.tolist())


def _once(one: Answers) -> Floats:
    return scores.once_each(len(one.true))


def test_accuracy_counts_a_record_as_often_as_it_was_drawn() -> None:
    counts = np.array([[1.0, 1, 1, 1], [0, 0, 2, 2], [4, 0, 0, 0]])
    found = scores.accuracy(counts, _answers([0, 1, 2, 2], [0, 1, 2, 0]))
    assert found.tolist() == [0.75, 0.5, 1.0]


def test_macro_scores_of_a_hand_worked_example() -> None:
    one = _answers([0, 0, 0, 1], [0, 0, 1, 1])
    found = scores.macro_scores(_once(one), one, 3)
    assert found["macro_precision"] == pytest.approx([(1 + 1 / 2) / 2])
    assert found["macro_recall"] == pytest.approx([(2 / 3 + 1) / 2])
    assert found["macro_f1"] == pytest.approx([(4 / 5 + 2 / 3) / 2])


@given(scored())
def test_macro_scores_agree_with_sklearn(one: Scored) -> None:
    found = scores.macro_scores(_once(one), one, one.scores.shape[1])
    expected = precision_recall_fscore_support(
        one.true, one.predicted, average="macro", zero_division=0
    )
    measured = [found[name][0] for name in ("macro_precision", "macro_recall", "macro_f1")]
    assert measured == pytest.approx(list(expected[:3]))


def test_the_area_of_a_hand_worked_example() -> None:
    # Of the pairs (0.8, 0.4), (0.8, 0.6), (0.6, 0.4), (0.6, 0.6): three right, one tied.
    one = _scored([1, 1, 0, 0], [[0.2, 0.8], [0.4, 0.6], [0.6, 0.4], [0.4, 0.6]])
    assert scores.roc_auc(_once(one), one) == pytest.approx([0.875])


@given(scored())
def test_the_area_agrees_with_sklearn_class_by_class(one: Scored) -> None:
    found = scores.roc_auc(_once(one), one)[0]
    present = np.unique(one.true)
    if len(present) == 1:
        assert np.isnan(found)
        return
    areas = [roc_auc_score(one.true == label, one.scores[:, label]) for label in present]
    assert found == pytest.approx(np.mean(areas))


@settings(max_examples=30)
@given(scored(), st.integers(0, 1000))
def test_a_resample_is_measured_as_if_its_records_were_written_out(one: Scored, seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(len(one.true), size=len(one.true))
    counts = np.bincount(drawn, minlength=len(one.true)).astype(float)[None]
    copy = Scored(one.true[drawn], one.predicted[drawn], one.scores[drawn])
    for metric in (
        scores.accuracy,
        scores.roc_auc,
        lambda counts, one: scores.expected_calibration_error(counts, one, 15),
        lambda counts, one: scores.macro_scores(counts, one, 4)["macro_f1"],
    ):
        assert metric(counts, one) == pytest.approx(metric(_once(copy), copy), nan_ok=True)


def test_calibration_error_of_a_hand_worked_example() -> None:
    # Two records at 0.9, one of them right; two at 0.6, both right: (|0.5-0.9| + |1-0.6|) / 2.
    one = _scored([0, 1, 0, 0], [[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert scores.expected_calibration_error(_once(one), one, 15) == pytest.approx([0.4])


def test_a_bin_holds_its_upper_edge() -> None:
    one = _scored([0, 0, 0, 0], [[1.0, 0.0], [0.5, 0.5], [0.6, 0.4], [0.75, 0.25]])
    assert scores.calibration_bin(one, 4).tolist() == [3, 1, 2, 2]


@given(scored())
def test_calibration_error_lies_between_the_overall_gap_and_one(one: Scored) -> None:
    error = scores.expected_calibration_error(_once(one), one, 15)[0]
    gap = abs(one.correct.mean() - one.confidence.mean())
    assert gap - 1e-9 <= error <= 1


def test_confusion_has_the_true_class_in_rows() -> None:
    assert scores.confusion(_answers([0, 0, 2], [0, 1, 2]), 3).tolist() == [
        [1, 1, 0],
        [0, 0, 0],
        [0, 0, 1],
    ]


def test_a_single_class_divides_by_nothing() -> None:
    one = _scored([0, 0], [[0.9, 0.1], [0.8, 0.2]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(scores.roc_auc(_once(one), one)[0])
        assert scores.macro_scores(_once(one), one, 2)["macro_f1"].tolist() == [1.0]
