"""A gate that is missed is told in one sentence; what is absent, null or no number passes none."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadSettings
from tasks.promotion.comparison.schema import Serving
from tasks.promotion.gates import missed_gates, missed_serving
from tasks.promotion.settings import PromotionSettings, ServingSettings

PASSED = {"passed": True}
METRICS: dict[str, Any] = {
    "accuracy": 0.95,
    "gain": None,
    "ece": math.nan,
    "baselines": {"linear": {"accuracy": 0.94}, "twin": {"accuracy": None}},
    "slices": [
        {"kind": "class", "name": "earn", "records": 30, "accuracy": 0.5},
        {"kind": "class", "name": "ship", "records": 29, "accuracy": 0.1},
        {
            "kind": "length",
            "name": "long texts (over 9)",
            "records": 40,
            "accuracy": 0.7,
        },
    ],
}


def _missed(metrics: dict[str, Any] = METRICS, **gates: Any) -> list[str]:
    return missed_gates(metrics, PASSED, PromotionSettings.parse(gates, "models.m.register"))


def test_by_default_everything_with_validated_data_passes() -> None:
    assert _missed({}) == []
    assert missed_gates({}, {"passed": False}, PromotionSettings()) == [
        "the corpus has not passed its validation"
    ]
    assert missed_gates({}, {}, PromotionSettings()) != []


def test_a_metric_at_its_floor_passes_and_below_it_is_told() -> None:
    assert _missed(floors={"accuracy": 0.95, "baselines.linear.accuracy": 0.94}) == []
    assert _missed(floors={"accuracy": 0.951}) == ["accuracy is 0.95, below the floor of 0.951"]


def test_a_metric_at_its_ceiling_passes_and_above_it_is_told() -> None:
    assert _missed({"ece": 0.05}, ceilings={"ece": 0.05}) == []
    assert _missed({"ece": 0.0612}, ceilings={"ece": 0.05}) == [
        "ece is 0.0612, above the ceiling of 0.05"
    ]


def test_null_nan_and_absent_metrics_are_missed() -> None:
    assert _missed(floors={"gain": 0.0, "ece": 0.0, "accuracyy": 0.1, "baselines.linear": 0.0}) == [
        "accuracyy has no value; allowed: accuracy, ece; did you mean 'accuracy'?",
        "baselines.linear has no value; allowed: accuracy, ece",
        "ece is nan, below the floor of 0",
        "gain has no value; allowed: accuracy, ece",
    ]
    assert _missed(ceilings={"ece": 1.0, "gain": 1.0}) == [
        "ece is nan, above the ceiling of 1",
        "gain has no value; allowed: accuracy, ece",
    ]


def test_the_lead_over_the_baselines_is_in_accuracy() -> None:
    assert _missed(lead={"linear": 0.01}) == []
    assert _missed(lead={"linear": 0.02, "twin": 0.0}) == [
        "accuracy 0.95 leads the linear baseline (0.94) by +0.01, below the least lead of +0.02",
        "there is no accuracy of its twin from random weights to compare with",
    ]


def test_small_slices_are_not_gated() -> None:
    assert _missed(slices={"minimum_accuracy": 0.8}) == [
        "class 'earn': 0.500 of 30 records are right, below the floor of 0.8",
        "long texts (over 9): 0.700 of 40 records are right, below the floor of 0.8",
    ]
    assert len(_missed(slices={"minimum_accuracy": 0.8, "minimum_records": 29})) == 3
    assert _missed(slices={"minimum_accuracy": 0.5, "minimum_records": 30}) == []


def test_metrics_without_slices_do_not_pass_a_gate_on_slices() -> None:
    assert _missed({"accuracy": 1.0}, slices={"minimum_accuracy": 0.1}) == [
        "metrics.json holds no slices: run evaluate again"
    ]


@given(st.floats(), st.floats(allow_nan=False))
def test_a_floor_and_a_ceiling_are_passed_only_on_their_side(value: float, limit: float) -> None:
    assert bool(_missed({"m": value}, floors={"m": limit})) is not (value >= limit)
    assert bool(_missed({"m": value}, ceilings={"m": limit})) is not (value <= limit)


def test_limits_on_latency_and_size() -> None:
    serving: Serving = {"median_ms": 3.0, "p95_ms": 12.345, "size_bytes": 4_000_000}
    assert missed_serving(serving, ServingSettings()) == []
    limits = ServingSettings(median_ms=3.0, p95_ms=10.0, size_mb=3.5)
    assert missed_serving(serving, limits) == [
        "the 95th percentile of the latency is 12.35 ms, above the limit of 10 ms",
        "the size of the model is 4 MB, above the limit of 3.5 MB",
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"flors": {}}, r"m\.flors: unknown key; allowed: .*did you mean 'floors'\?"),
        ({"floors": {"accuracy": "high"}}, r"m\.floors\.accuracy: .*found 'high'"),
        ({"lead": {"linaer": 0.1}}, r"m\.lead\.linaer.*'linear', 'nb_svm', 'simple' or 'twin'"),
        ({"slices": {"minimum_records": 0}}, r"m\.slices\.minimum_records: .*found 0"),
        ({"review": {"policy": "auto"}}, r"m\.review\.policy: .*'auto_if_better'.*found 'auto'"),
        ({"serving": {"median_ms": 0}}, r"m\.serving\.median_ms: .*greater than 0, found 0"),
    ],
)
def test_settings_that_are_not_allowed_name_their_key(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSettings, match=message):
        PromotionSettings.parse(raw, "m")


def test_a_backbone_that_was_pretrained_on_the_test_records_is_told() -> None:
    def seen(share: float) -> dict[str, Any]:
        return {"pretraining": {"seen_test_records": share}}

    assert _missed(seen(0.01)) == []
    assert _missed(seen(0.02)) == [
        "the backbone was pretrained on 2.0% of the test records, above the limit of 1.0%"
    ]
    assert _missed(seen(0.02), maximum_seen=0.5) == []


def test_a_model_that_a_baseline_is_significantly_ahead_of_is_told() -> None:
    def against(verdict: str) -> dict[str, Any]:
        return {"against": {"linear": {"verdict": verdict, "won": 3, "lost": 20, "p_value": 5e-4}}}

    behind = "it is behind the linear baseline: 3 test records alone right against 20 (p = 0.0005)"
    assert _missed(against("level")) == _missed(against("level"), not_behind=["linear"]) == []
    assert _missed(against("behind")) == [behind]
    assert _missed(against("behind"), not_behind=[]) == []
    assert _missed(against("level"), not_behind=["nb_svm"]) == [
        "metrics.json does not tell it from the NB-SVM baseline: images have none: drop it, or run "
        "evaluate again"
    ]
    assert _missed(against("behind"), not_behind=["linear", "twin"]) == [
        behind,
        "metrics.json does not tell it from its twin from random weights: run evaluate again",
    ]


def test_metrics_of_an_earlier_version_miss_no_gate_that_nobody_asked_for() -> None:
    assert _missed({}) == []
    assert _missed({}, not_behind=["linear"]) == [
        "metrics.json does not tell it from the linear baseline: run evaluate again"
    ]


def test_the_gates_of_another_head_are_in_its_own_metric() -> None:
    metrics = {
        "head": "regression", "decides": "mae", "less_is_better": True, "mae": 0.8,
        "baselines": {"linear": {"mae": 0.9}, "simple": {"mae": 0.7}}, "slices": [],
        "against": {"linear": {"verdict": "behind", "better_by": -0.1, "p_value": 0.01}},
    }  # fmt: skip
    settings = PromotionSettings.parse(
        {
            "lead": {"linear": 0.05, "simple": 0.0},
            "ceilings": {"mae": 0.75},
            "slices": {"minimum_accuracy": 0.5},
        },
        "m",
    )
    assert missed_gates(metrics, {"passed": True}, settings) == [
        "mae is 0.8, above the ceiling of 0.75",
        "mae 0.8 leads the simplest baseline (0.7) by -0.1, below the least lead of +0",
        "it is behind the linear baseline: mae is worse by 0.1 (p = 0.01)",
        "head: regression has no accuracy in slices: drop slices.minimum_accuracy",
    ]
