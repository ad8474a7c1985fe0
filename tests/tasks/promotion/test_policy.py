"""Policies: what is promoted, what is rejected, and when a person is asked."""

from typing import Any, cast

import pytest

from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.policy import apply_policy
from tasks.promotion.settings import PromotionSettings


def _settings(policy: str, **review: Any) -> PromotionSettings:
    return PromotionSettings.parse({"review": {"policy": policy, **review}}, "register")


def _comparison(won: int, lost: int, *slices: dict[str, Any]) -> Comparison:
    even = {"name": "even", "difference": 0.0, "adjusted_p_value": 1.0}
    found = {
        "records": 1000,
        "disagreement": {"only_candidate_right": won, "only_champion_right": lost},
        "slices": [even, *slices],
    }
    return cast(Comparison, found)


def _slice(difference: float, p_value: float | None) -> dict[str, Any]:
    return {
        "name": "grain",
        "difference": difference,
        "champion": 0.9,
        "candidate": 0.9 + difference,
        "adjusted_p_value": p_value,
    }


@pytest.mark.parametrize("policy", ["manual", "auto_if_better", "auto_if_not_worse"])
def test_a_missed_gate_rejects_under_every_policy(policy: str) -> None:
    reasons = ["accuracy is 0.9, below the floor of 0.95"]
    expected = {"decision": "reject", "policy": policy, "reasons": reasons}
    assert apply_policy(_comparison(50, 0), reasons, _settings(policy)) == expected
    assert apply_policy(None, reasons, _settings(policy)) == expected


def test_by_default_a_person_decides_and_is_told_what_the_tests_say() -> None:
    found = apply_policy(_comparison(50, 0), [], PromotionSettings())
    assert (found["decision"], found["policy"]) == ("ask", "manual")
    automatic = apply_policy(_comparison(50, 0), [], _settings("auto_if_better"))
    assert found["reasons"] == automatic["reasons"]


@pytest.mark.parametrize("policy", ["manual", "auto_if_better", "auto_if_not_worse"])
def test_without_a_champion_a_person_decides(policy: str) -> None:
    found = apply_policy(None, [], _settings(policy))
    assert found["decision"] == "ask"
    assert found["reasons"] == [
        "there is no champion to compare with: a person decides on the first one"
    ]


def test_a_significantly_better_candidate_is_promoted() -> None:
    # 6 of 6 disagreements: p = 2 / 2^6 = 0.031; 5 of 5: 0.0625.
    assert apply_policy(_comparison(6, 0), [], _settings("auto_if_better")) == {
        "decision": "promote",
        "policy": "auto_if_better",
        "reasons": [
            "accuracy differs by +0.60 points: significantly better (McNemar's exact test, "
            "p = 0.0312, alpha 0.05)",
            "none of the 1 tested slices is significantly worse",
        ],
    }
    assert apply_policy(_comparison(5, 0), [], _settings("auto_if_better"))["decision"] == "reject"
    stricter = _settings("auto_if_better", alpha=0.01)
    assert apply_policy(_comparison(6, 0), [], stricter)["decision"] == "reject"


def test_a_significantly_worse_candidate_is_not_better() -> None:
    found = apply_policy(_comparison(0, 30), [], _settings("auto_if_better"))
    assert found["decision"] == "reject"
    assert "accuracy differs by -3.00 points: not significantly better" in found["reasons"][0]


@pytest.mark.parametrize("policy", ["auto_if_better", "auto_if_not_worse"])
def test_a_slice_that_is_significantly_worse_stands_in_the_way(policy: str) -> None:
    worse = _comparison(50, 5, _slice(-0.2, 0.01))
    found = apply_policy(worse, [], _settings(policy))
    assert found["decision"] == "reject"
    assert found["reasons"][1] == "significantly worse: grain (90.0 % to 70.0 %)"
    for harmless in (_slice(-0.2, 0.06), _slice(-0.2, None), _slice(0.2, 0.01)):
        assert (
            apply_policy(_comparison(50, 5, harmless), [], _settings(policy))["decision"]
            == "promote"
        )


def test_a_candidate_within_the_margin_is_promoted_as_not_worse() -> None:
    settings = _settings("auto_if_not_worse", margin=0.01)
    found = apply_policy(_comparison(3, 3), [], settings)
    assert found["decision"] == "promote"
    assert found["reasons"][0] == (
        "accuracy is at worst 0.61 points lower (Tango's interval at level 0.95): within the "
        "margin of 1 points"
    )
    # The same difference with more disagreement is less sure.
    assert apply_policy(_comparison(30, 30), [], settings)["decision"] == "reject"
    wider = _settings("auto_if_not_worse", margin=0.02)
    assert apply_policy(_comparison(30, 30), [], wider)["decision"] == "promote"


def test_a_margin_of_0_asks_for_an_interval_above_0() -> None:
    settings = _settings("auto_if_not_worse", margin=0.0)
    found = apply_policy(_comparison(20, 2), [], settings)
    assert found["decision"] == "promote"
    assert "accuracy is not lower (Tango's interval begins at +0." in found["reasons"][0]
    assert apply_policy(_comparison(3, 3), [], settings)["decision"] == "reject"
