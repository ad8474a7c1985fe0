"""Figures, intervals and ``metrics.json``."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluate.evaluation import Evaluation, measure, metrics_json
from tasks.evaluate.settings import Settings
from tasks.metrics.scores import Answers, Scored
from tasks.metrics.slices import slices_of

SETTINGS = Settings(bootstrap_samples=100)


def _scored(true: list[int], rows: list[list[float]]) -> Scored:
    table = np.array(rows)
    return Scored(np.array(true), table.argmax(axis=1), table)


def test_gain_is_the_difference_on_the_same_resamples() -> None:
    model = _scored([0, 1, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    # The twin is wrong on just one record more, so no resample can show a loss.
    twin = Answers(model.true, np.array([1, 1, 0, 0]))
    found = measure(model, {"twin": twin}, 2, SETTINGS, [0])["model"]
    assert found.values["gain"] == 0.25
    interval = found.intervals["gain"]
    assert interval is not None
    assert interval[0] == 0.0


def test_accuracy_has_wilsons_interval() -> None:
    model = _scored([0] * 81 + [1] * 182, [[0.9, 0.1]] * 263)
    found = measure(model, {}, 2, SETTINGS, [0])["model"]
    assert found.intervals["accuracy"] == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_what_is_undefined_is_null_with_a_reason() -> None:
    model = _scored([1], [[0.4, 0.6]])
    evaluation = Evaluation(
        name="one",
        corpus="tiny",
        modality="text",
        labels=["a", "b"],
        split_sizes={"test": 1},
        num_trained=80,
        num_unlabelled=0,
        folds=None,
        model=model,
        slices=slices_of(model.true, ["a", "b"], "text", ["a text"]),
        baselines={},
        figures=measure(model, {}, 2, SETTINGS, [0]),
    )
    metrics = metrics_json(evaluation)
    assert metrics["accuracy"] == 1.0
    assert metrics["roc_auc"] is None
    assert metrics["intervals"]["roc_auc"] is None
    assert metrics["undefined"] == {"roc_auc": "all test records are of one class"}
    recall = {"records": 1, "accuracy": 1.0, "interval": [0.206549, 1.0]}
    assert metrics["slices"] == [
        {"kind": "class", "name": "b", **recall},
        {"kind": "length", "name": "short texts (up to 6 characters)", **recall},
    ]
    assert metrics["baselines"]["linear"] == {"accuracy": None, "macro_f1": None}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=40), st.integers(0, 99))
def test_figures_stay_within_0_and_1(true: list[int], seed: int) -> None:
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), len(true))
    figures = measure(_scored(true, rows.tolist()), {}, 3, SETTINGS, [seed])["model"]
    for name, value in figures.values.items():
        interval = figures.intervals[name]
        if value is not None and interval is not None:
            assert 0 <= interval[0] <= interval[1] <= 1
            assert 0 <= value <= 1
