"""Metrics, intervals and ``metrics.json``; those of folds are scikit-learn's."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from tasks.evaluate.evaluation import Evaluation, fold_metrics, measure, metrics_json
from tasks.evaluate.settings import Settings
from tasks.metrics.scores import Answers, Scored
from tasks.metrics.slices import slices_of

SETTINGS = Settings(bootstrap_samples=100)
TRUE = ["corn", "earn", "corn", "earn", "corn", "earn"]
PREDICTED = ["corn", "earn", "earn", "earn", "earn", "corn"]
FOLDS = [1, 1, 2, 2, 3, 3]


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
        metrics=measure(model, {}, 2, SETTINGS, [0]),
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
def test_metrics_stay_within_0_and_1(true: list[int], seed: int) -> None:
    rows = np.random.default_rng(seed).dirichlet(np.ones(3), len(true))
    measured = measure(_scored(true, rows.tolist()), {}, 3, SETTINGS, [seed])["model"]
    for name, value in measured.values.items():
        interval = measured.intervals[name]
        if value is not None and interval is not None:
            assert 0 <= interval[0] <= interval[1] <= 1
            assert 0 <= value <= 1


def write_folds(path: Path, count: int) -> Path:
    columns = {
        "id": pa.array([f"record {number}" for number in range(count)], pa.string()),
        "label": pa.array(TRUE[:count], pa.string()),
        "fold": pa.array(FOLDS[:count], pa.int64()),
        "predicted": pa.array(PREDICTED[:count], pa.string()),
        "score_corn": pa.array([0.5] * count, pa.float64()),
        "score_earn": pa.array([0.5] * count, pa.float64()),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_mean_and_deviation_are_over_the_folds(tmp_path: Path) -> None:
    metrics = fold_metrics(write_folds(tmp_path / "folds.parquet", 6))
    assert metrics is not None
    assert (metrics["number"], metrics["n"]) == (3, 6)
    pairs = [(TRUE[start : start + 2], PREDICTED[start : start + 2]) for start in (0, 2, 4)]
    for name, each in (
        ("accuracy", [accuracy_score(*pair) for pair in pairs]),
        ("macro_f1", [f1_score(*pair, average="macro") for pair in pairs]),
    ):
        assert metrics[name]["each"] == pytest.approx(each, abs=1e-6)
        assert metrics[name]["mean"] == pytest.approx(np.mean(each), abs=1e-6)
        assert metrics[name]["deviation"] == pytest.approx(np.std(each, ddof=1), abs=1e-6)


def test_without_folds_there_are_no_metrics_of_them(tmp_path: Path) -> None:
    assert fold_metrics(write_folds(tmp_path / "folds.parquet", 0)) is None
