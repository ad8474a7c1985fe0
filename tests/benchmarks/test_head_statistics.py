"""The error rates of the statistics of heads, on fewer reviews than the benchmark's."""

import pytest

from benchmarks.head_statistics import _share_of_poor, coverage, told_apart, value


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("pair", "accuracy"), ("tagging", "token_accuracy"), ("tagging", "span_f1")],
)
def test_of_equal_models_that_err_otherwise_hardly_any_are_told_apart(
    kind: str, metric: str
) -> None:
    share = _share_of_poor(kind, metric)
    of_mixed = value(kind, metric, {"good": 1 - share, "poor": share})
    assert of_mixed == pytest.approx(value(kind, metric, {"usual": 1.0}), abs=1e-5)
    assert value(kind, metric, {"good": 1.0}) > of_mixed > value(kind, metric, {"poor": 1.0})
    # Of a rate of 5 %, 300 reviews give 28 at most in 99.9 of 100 cases.
    assert told_apart(kind, [metric], share, 300)[metric] * 300 <= 28
    assert told_apart(kind, [metric], 1.0, 50)[metric] > 0.5


def test_the_intervals_hold_the_truth_as_often_as_the_table_says() -> None:
    held = coverage("pair", 50, 200)
    assert held["accuracy"] > 0.91
    assert held["macro_f1"] > 0.85
    assert held["ece"] < 0.5  # few records overstate a calibration error
