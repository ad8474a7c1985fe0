"""A comparison of real models, part by part, and what it refuses to compare."""

import base64
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from tasks.errors import BadInput
from tasks.metrics.predictions import Labelled, Predictions
from tasks.metrics.scores import Scored
from tasks.metrics.slices import Slice
from tasks.promotion.comparison.comparison import (
    Side,
    aligned,
    calibration_bins,
    compare,
    disagree,
    excerpt,
    flipped,
    slice_changes,
)
from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.settings import PromotionSettings
from tests.tasks.reports.test_drawing import grey_png, size_of

SETTINGS = PromotionSettings.parse({"review": {"bootstrap_samples": 400}}, "register")


@pytest.fixture(scope="module")
def comparison(strong: Side, weak: Side, digits: Labelled) -> Comparison:
    return compare("digits", strong, weak, digits, SETTINGS)


def _metric(comparison: Comparison, name: str) -> Any:
    return next(metric for metric in comparison["metrics"] if metric["name"] == name)


def test_the_figures_are_those_of_sklearn_and_scipy(
    comparison: Comparison, strong: Side, weak: Side
) -> None:
    ours, theirs = strong.predictions.scored, weak.predictions.scored
    accuracy, macro_f1 = _metric(comparison, "accuracy"), _metric(comparison, "macro_f1")
    assert accuracy["candidate"] == pytest.approx(ours.correct.mean(), abs=1e-6)
    assert accuracy["champion"] == pytest.approx(theirs.correct.mean(), abs=1e-6)
    expected = [f1_score(one.true, one.predicted, average="macro") for one in (ours, theirs)]
    assert [macro_f1["candidate"], macro_f1["champion"]] == pytest.approx(expected, abs=1e-6)
    won = int((ours.correct & ~theirs.correct).sum())
    lost = int((theirs.correct & ~ours.correct).sum())
    found = comparison["disagreement"]
    assert (found["only_candidate_right"], found["only_champion_right"]) == (won, lost)
    assert found["both_right"] + won + lost + found["both_wrong"] == comparison["records"] == 1197
    p_value = binomtest(won, won + lost).pvalue
    assert found["p_value"] == pytest.approx(p_value, abs=1e-6)
    assert comparison["verdict"] == "better"


def test_the_intervals_hold_the_differences(comparison: Comparison) -> None:
    for metric in comparison["metrics"]:
        low, high = metric["interval"]
        assert low <= metric["difference"] <= high
    low, high = _metric(comparison, "accuracy")["interval"]
    assert comparison["disagreement"]["score_interval"] == pytest.approx([low, high], abs=0.006)
    assert low > 0


def test_the_naive_model_is_worse_calibrated(comparison: Comparison) -> None:
    ece = _metric(comparison, "ece")
    assert ece["interval"][1] < 0
    bins = comparison["calibration"]["champion"]
    assert sum(one["records"] for one in bins) == 1197
    gap = sum(one["records"] * abs(one["accuracy"] - one["confidence"]) for one in bins) / 1197
    assert ece["champion"] == pytest.approx(gap, abs=1e-5)


def test_every_class_and_third_is_a_slice(comparison: Comparison) -> None:
    kinds = [one["kind"] for one in comparison["slices"]]
    assert kinds == ["class"] * 10 + ["brightness"] * 3
    for one in comparison["slices"]:
        assert one["interval"][0] <= one["difference"] <= one["interval"][1]
        assert one["adjusted_p_value"] is not None
        assert one["p_value"] is not None
        assert one["adjusted_p_value"] >= one["p_value"]


def test_it_is_plain_json_and_the_same_again(
    comparison: Comparison, strong: Side, weak: Side, digits: Labelled
) -> None:
    again = compare("digits", strong, weak, digits, SETTINGS)
    assert json.dumps(again, allow_nan=False) == json.dumps(comparison, allow_nan=False)
    assert set(comparison) == set(Comparison.__annotations__) - {"decides"}


def test_the_other_way_round_everything_changes_its_sign(
    comparison: Comparison, strong: Side, weak: Side, digits: Labelled
) -> None:
    other = compare("digits", weak, strong, digits, SETTINGS, ["accuracy is low"])
    assert other["verdict"] == "worse"
    assert other["missed_gates"] == ["accuracy is low"]
    low, high = _metric(comparison, "macro_f1")["interval"]
    assert _metric(other, "macro_f1")["interval"] == pytest.approx([-high, -low], abs=1e-6)
    num_won = comparison["disagreement"]["only_champion_right"]
    assert len(other["flipped"]["won"]) == min(10, num_won)


def test_a_model_does_not_differ_from_itself(strong: Side, digits: Labelled) -> None:
    found = compare("digits", strong, strong, digits, SETTINGS)
    assert found["verdict"] == "no significant difference"
    assert found["disagreement"]["p_value"] == 1.0
    assert found["flipped"] == {"won": [], "lost": []}
    assert [metric["interval"] for metric in found["metrics"]] == [[0.0, 0.0]] * 3
    assert {one["verdict"] for one in found["slices"]} == {"no significant change"}


def _scored(true: list[int], predicted: list[int], num_classes: int) -> Scored:
    return Scored(np.array(true), np.array(predicted), np.eye(num_classes)[predicted])


def test_models_with_other_classes_are_compared_on_all_of_them() -> None:
    candidate = Predictions(["1", "2"], ["b", "c"], _scored([0, 1], [0, 1], 2))
    champion = Predictions(["1", "2"], ["a", "b", "c"], _scored([1, 2], [1, 0], 3))
    labels, ours, theirs = aligned(candidate, champion)
    assert labels == ["b", "c", "a"]
    assert ours.true.tolist() == theirs.true.tolist() == [0, 1]
    assert theirs.predicted.tolist() == [0, 2]
    assert theirs.scores.tolist() == [[1, 0, 0], [0, 0, 1]]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_any_predictions_can_be_compared(rows: list[tuple[int, int, int]]) -> None:
    true, ours, theirs = (list(column) for column in zip(*rows, strict=True))
    ids = [str(number) for number in range(len(rows))]
    test = Labelled("text", ids, ["some words"] * len(rows), ["abc"[n] for n in true], 0)
    sides = [
        Side(name, Predictions(ids, ["a", "b", "c"], _scored(true, predicted, 3)))
        for name, predicted in (("new", ours), ("old", theirs))
    ]
    settings = PromotionSettings.parse({"review": {"bootstrap_samples": 100}}, "register")
    found = compare("m", *sides, test, settings)
    json.dumps(found, allow_nan=False)
    assert found["records"] == len(rows)


def test_predictions_of_other_records_are_refused(
    strong: Side, weak: Side, digits: Labelled
) -> None:
    fewer = dataclasses.replace(
        digits, ids=digits.ids[:-1], contents=digits.contents[:-1], labels=digits.labels[:-1]
    )
    with pytest.raises(
        BadInput,
        match=r"digits: version 2 was scored on other test records \(1197 of them; 0 of today's "
        r"1196 are missing or moved\): score it again",
    ):
        compare("digits", strong, weak, fewer, SETTINGS)


def test_predictions_of_changed_labels_are_refused(
    strong: Side, weak: Side, digits: Labelled
) -> None:
    changed = dataclasses.replace(digits, labels=["digit 0", *digits.labels[1:]])
    assert changed.labels != digits.labels
    with pytest.raises(BadInput, match="labels of the test records have changed since version 2"):
        compare("digits", strong, weak, changed, SETTINGS)


def test_small_slices_are_not_tested_and_do_not_weigh_on_the_others() -> None:
    true = [0] * 40 + [1] * 10
    candidate = _scored(true, true, 2)
    champion = _scored(true, [1] * 8 + [0] * 32 + [0] * 10, 2)
    masks = [np.array(true) == number for number in (0, 1)]
    slices = [Slice("class", name, mask) for name, mask in zip("ab", masks, strict=True)]
    large, small = slice_changes(candidate, champion, slices, 0.05, 30)
    assert (large["records"], large["difference"], large["verdict"]) == (40, 0.2, "better")
    # 8 of 8 disagreements: 2 / 2^8, and no correction, since it is the only one that is tested.
    assert large["adjusted_p_value"] == large["p_value"] == pytest.approx(2 / 256)
    assert (small["p_value"], small["adjusted_p_value"]) == (None, None)
    assert (small["difference"], small["verdict"]) == (1.0, "too few records")
    both = slice_changes(candidate, champion, slices, 0.05, 10)
    assert [one["adjusted_p_value"] for one in both] == pytest.approx([2 / 256, 4 / 1024])


def test_disagreements_are_counted_and_tested() -> None:
    found = disagree(
        _scored([0, 0, 0, 0, 1], [0, 0, 0, 1, 0], 2),
        _scored([0, 0, 0, 0, 1], [0, 1, 1, 0, 0], 2),
        0.05,
    )
    assert found["both_right"] == 1
    assert found["only_candidate_right"] == 2
    assert found["only_champion_right"] == 1
    assert found["both_wrong"] == 1
    assert found["p_value"] == 1.0


def test_only_filled_bins_are_kept() -> None:
    scores = np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6]])
    found = calibration_bins(Scored(np.array([0, 1, 1]), np.array([0, 0, 1]), scores))
    assert [(one["records"], one["accuracy"]) for one in found] == [(1, 1.0), (1, 1.0), (1, 0.0)]
    assert [one["confidence"] for one in found] == pytest.approx([0.6, 0.9, 0.95])


def _of_two(predicted: list[int], confidence: list[float]) -> Scored:
    scores = np.array(
        [[c, 1 - c] if p == 0 else [1 - c, c] for p, c in zip(predicted, confidence, strict=True)]
    )
    return Scored(np.zeros(len(predicted), dtype=np.int64), np.array(predicted), scores)


def test_flips_go_by_the_confidence_of_the_candidate() -> None:
    candidate = _of_two([1, 1, 0, 0, 1], [0.7, 0.9, 0.8, 0.6, 0.99])
    champion = _of_two([0, 0, 1, 1, 1], [0.6, 0.6, 0.6, 0.55, 0.9])
    test = Labelled("text", list("vwxyz"), ["one", "two", "three", "four", "five"], ["a"] * 5, 0)
    found = flipped(candidate, champion, ["a", "b"], test, 10)
    assert [flip["id"] for flip in found["lost"]] == ["w", "v"]
    assert [flip["id"] for flip in found["won"]] == ["x", "y"]
    assert found["lost"][0] == {
        "id": "w",
        "label": "a",
        "candidate": "b",
        "champion": "a",
        "candidate_confidence": 0.9,
        "champion_confidence": 0.6,
        "excerpt": "two",
    }
    one = flipped(candidate, champion, ["a", "b"], test, 1)
    assert [flip["id"] for flip in one["won"]] == ["x"]
    assert flipped(candidate, champion, ["a", "b"], test, 0) == {"won": [], "lost": []}


def test_images_are_shown_as_thumbnails() -> None:
    test = Labelled("image", ["v"], [grey_png(8, 8)], ["a"], 0)
    found = flipped(_of_two([0], [0.9]), _of_two([1], [0.9]), ["a", "b"], test, 1)
    assert size_of(base64.b64decode(found["won"][0]["thumbnail"])) == (96, 96)


def test_an_excerpt_is_one_line_cut_between_words() -> None:
    assert excerpt("two\n  words") == "two words"
    long = excerpt("word " * 100)
    assert long.endswith("word …")
    assert len(long) <= 282
    assert excerpt("x" * 500) == "x" * 280 + " …"
