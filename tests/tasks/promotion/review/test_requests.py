"""A review is made once for each subject."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.contracts import files
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.report import read_report
from tasks.promotion.review.requests import request
from tasks.tracking.audit.aliases import move
from tasks.tracking.audit.writer import Change
from tasks.tracking.store import opened
from tests.tasks.promotion.scene import MODEL, Scene


def test_candidate_and_champion_are_compared_once_on_the_same_records(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.register("poor")
    decide(request(MODEL), "approve", "to begin with")
    scene.register("good")
    capsys.readouterr()
    review = request(MODEL)
    assert "scored again" not in capsys.readouterr().err  # both have predictions of these records
    assert request(MODEL) == review
    with opened() as client:
        run = client.get_run(review.run_id)
        experiment = client.get_experiment(run.info.experiment_id).name
        named = client.search_runs([run.info.experiment_id], "tags.`downstream.stage` = 'review'")
    assert (experiment, run.info.run_name, run.info.status) == (
        MODEL,
        f"review@{MODEL}",
        "FINISHED",
    )
    assert sorted(one.data.tags["downstream.review_candidate"] for one in named) == ["1", "2"]
    comparison = read_report(review).comparison
    assert comparison is not None
    assert (comparison["candidate"], comparison["champion"]) == ("version 2", "version 1")
    assert (comparison["records"], comparison["verdict"]) == (234, "better")
    difference = comparison["metrics"][0]["difference"]
    assert run.data.metrics["difference.accuracy"] == pytest.approx(difference, abs=1e-6)
    assert run.data.metrics["champion.size_bytes"] > 10_000


def test_other_settings_or_records_make_another_review(scene: Scene) -> None:
    scene.register("good")
    first = request(MODEL)
    scene.configure({"floors": {"accuracy": 0.1}})
    second = request(MODEL)
    scene.write_test_split(without=10)
    third = request(MODEL)
    assert len({one.id for one in (first, second, third)}) == 3
    scene.configure({})
    scene.write_test_split()
    assert request(MODEL) == first


def test_of_two_that_ask_at_once_one_makes_the_review(scene: Scene) -> None:
    scene.register("good")
    with ThreadPoolExecutor(2) as both:
        one, other = both.map(request, [MODEL, MODEL])
    assert one == other
    with opened() as client:
        runs = client.search_runs([one.experiment_id], "tags.`downstream.stage` = 'review'")
    assert [run.info.run_id for run in runs] == [one.run_id]


def test_no_policy_brings_back_a_version_that_was_champion(scene: Scene) -> None:
    scene.register("poor")
    decide(request(MODEL), "approve", "to begin with")
    scene.register("good")
    decide(request(MODEL), "approve", "better")
    with opened() as client:
        move(client, MODEL, Change("rollback", "champion", version_to=1))
    scene.configure({"review": {"policy": "auto_if_better"}})
    review = request(MODEL)
    assert review.policy_says == "ask"
    said = read_report(review).summary["decision"]["reasons"][-1]
    assert said == "version 2 was champion before: a person decides whether it returns"


def test_the_claim_names_everything_that_was_reviewed(scene: Scene) -> None:
    scene.register("good")
    review = request(MODEL)
    assert json.dumps(dict(review.evidence))  # plain texts
    weights = files.sha256(Path(scene.models["good"]) / "model.safetensors")
    assert review.evidence["candidate/weights"] == weights
    assert review.evidence["candidate/model"] == files.sha256_of_folder(scene.models["good"])
    assert {name for name in review.evidence if name.startswith("review/")} == {
        "review/candidate.parquet",
        "review/card.html",
        "review/review.json",
    }
