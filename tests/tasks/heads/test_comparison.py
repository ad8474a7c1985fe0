"""Two versions with another head are compared by the test that its answers call for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.heads import _evidence as evidence
from tasks.promotion.comparison.headed import HeadedSides, _alike
from tasks.promotion.comparison.page import comparison_page
from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.policy import apply_policy
from tasks.promotion.settings import PromotionSettings
from tests.tasks.heads.conftest import Splits

SERVING = {"median_ms": 1.0, "p95_ms": 2.0, "size_bytes": 1000}


def settings_of(policy: str) -> PromotionSettings:
    review = {"policy": policy, "bootstrap_samples": 100, "margin": 0.05}
    return PromotionSettings.model_validate({"review": review, "slices": {"minimum_records": 10}})


def compared(split: Path, head: str, better: Callable[[Any], Any]) -> Comparison:
    """Return what is told of one that is right, and one that never is."""
    test = evidence.read_test(split, head)
    right = [better(one) for one in test.true]
    wrong = test.head.baselines(test.table, test.table)["simple"]
    names = {"candidate": "v2", "champion": "v1"}
    known = sorted(test.head.names_in(test.true))
    sides = HeadedSides(
        test, names, {"candidate": right, "champion": wrong}, known,
        dict.fromkeys(names, SERVING),  # type: ignore[arg-type]
    )  # fmt: skip
    return sides.compare(head, settings_of("manual"))


def sure_of_labels(true: dict[str, Any]) -> dict[str, Any]:
    return {**true, "scores": [{"label": name, "score": 0.9} for name in true["labels"]]}


def test_labels_are_compared_by_the_randomisation_test_over_micro_f1(
    corpora: dict[str, Splits],
) -> None:
    comparison = compared(corpora["reviews"]["test"], "multilabel", sure_of_labels)
    found = comparison["decides"]
    assert (found["metric"], found["better_by"] > 0.2, comparison["verdict"]) == (
        "micro_f1", True, "better",
    )  # fmt: skip
    assert [one["name"] for one in comparison["metrics"]] == [
        "micro_f1", "macro_f1", "subset_accuracy", "mean_average_precision",
    ]  # fmt: skip
    assert comparison["metrics"][0]["candidate"] == 1.0
    decision = apply_policy(comparison, [], settings_of("auto_if_better"))
    assert decision["decision"] == "promote"
    assert "micro_f1 is better by +" in decision["reasons"][0]
    assert "(paired randomisation test, p =" in decision["reasons"][0]
    worse: Any = {**comparison, "decides": {**found, "better_by": -0.25}}
    refused = apply_policy(worse, [], settings_of("auto_if_better"))
    assert refused["decision"] == "reject"
    assert refused["reasons"][0].startswith("micro_f1 is worse by 0.25: not significantly better (")
    page = comparison_page(comparison, decision)
    assert "Paired randomisation test, 10,000 draws" in page
    assert "records with Tops" in page
    assert comparison["flipped"]["won"][0]["candidate"] == comparison["flipped"]["won"][0]["label"]


def test_pairs_are_compared_by_mcnemars_test_and_tangos_interval(
    corpora: dict[str, Splits],
) -> None:
    comparison = compared(corpora["pairs"]["test"], "pair", lambda one: one)
    found = comparison["decides"]
    assert (found["metric"], found["test"]) == ("accuracy", "McNemar's exact test")
    assert comparison["metrics"][0]["candidate"] == 1.0
    assert found["interval"][0] < found["better_by"] < found["interval"][1]
    better = apply_policy(comparison, [], settings_of("auto_if_better"))
    assert "significantly better (McNemar's exact test, p =" in better["reasons"][0]
    not_worse = apply_policy(comparison, [], settings_of("auto_if_not_worse"))
    assert "(Tango's interval at level 0.95): within the margin" in not_worse["reasons"][0]
    page = comparison_page(comparison, better)
    assert "McNemar&#39;s exact test" in page
    assert " / " in comparison["flipped"]["won"][0]["excerpt"]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (0.5, 0.50001, True),
        (0.5, 0.51, False),
        ({"labels": ["a"], "score": 0.5}, {"labels": ["a"], "score": 0.50001}, True),
        ({"labels": ["a"], "score": 0.5}, {"labels": ["b"], "score": 0.5}, False),
        ([{"score": 0.5}], [{"score": 0.6}], False),
        ([1.0], [1.0, 2.0], False),
        ({"a": 1.0}, {"b": 1.0}, False),
        ("a", "a", True),
    ],
)
def test_an_answer_is_repeated_but_for_the_last_digits_of_its_numbers(
    one: Any, other: Any, alike: bool
) -> None:
    assert _alike(one, other) == alike
