"""What a reviewer is shown: both models, scored by the same code on the same records."""

import pytest

from tasks.contracts import files, paths
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.report import read_report
from tasks.promotion.review.requests import request
from tests.tasks.promotion.scene import MODEL, Scene


def test_the_first_candidate_is_reviewed_without_a_comparison(scene: Scene) -> None:
    scene.register("poor")
    review = request(MODEL)
    assert (review.subject.candidate, review.subject.champion) == (1, None)
    assert (review.policy_says, review.decided) == ("ask", None)
    report = read_report(review)
    assert report.comparison is None
    assert report.summary["metrics"] == files.read_json(paths.metrics(MODEL))
    assert report.summary["serving"]["size_bytes"] > 10_000
    assert "<strong>A person decides</strong> (policy <code>manual</code>" in report.page
    assert "<h1>A card</h1>" in report.page


def test_a_champion_of_another_test_split_is_scored_again(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.register("poor")
    decide(request(MODEL), "approve", "to begin with")
    scene.write_test_split(without=10)
    scene.register("good")
    capsys.readouterr()
    comparison = read_report(request(MODEL)).comparison
    said = capsys.readouterr().err
    assert "version 1 is scored again: the test split is another" in said
    assert "version 2 is scored again" not in said
    assert comparison is not None
    assert comparison["records"] == 224


def test_the_gates_of_today_and_the_cost_of_serving_are_judged(scene: Scene) -> None:
    scene.register("good")
    scene.configure({"floors": {"n_test": 1000}, "serving": {"size_mb": 0.001}})
    review = request(MODEL)
    assert review.policy_says == "reject"
    floor, size = read_report(review).summary["missed_gates"]
    assert floor == "n_test is 234, below the floor of 1000"
    assert size.startswith("the size of the model is ")
