"""What is absent, null or not a number passes no gate."""

import math

from hypothesis import given
from hypothesis import strategies as st

from tasks.register.gates import missed_gates

METRICS = {"accuracy": 0.95, "gain": None, "ece": math.nan, "baselines": {"linear": {"a": 0.5}}}


def test_without_floors_everything_passes() -> None:
    assert missed_gates({}, {}) == []


def test_a_metric_at_its_floor_passes_and_below_it_is_told() -> None:
    assert missed_gates(METRICS, {"accuracy": 0.95, "baselines.linear.a": 0.5}) == []
    assert missed_gates(METRICS, {"accuracy": 0.951}) == ["accuracy is 0.95, below 0.951"]


def test_null_nan_and_absent_metrics_are_missed() -> None:
    floors = {"gain": 0.0, "ece": 0.0, "accuracyy": 0.1, "baselines.linear": 0.0}
    assert missed_gates(METRICS, floors) == [
        "accuracyy has no value; allowed: accuracy, ece; did you mean 'accuracy'?",
        "baselines.linear has no value; allowed: accuracy, ece",
        "ece is nan, below 0.0",
        "gain has no value; allowed: accuracy, ece",
    ]


@given(st.floats(), st.floats(allow_nan=False))
def test_a_gate_is_passed_only_at_or_above_its_floor(value: float, floor: float) -> None:
    assert bool(missed_gates({"m": value}, {"m": floor})) is not (value >= floor)
