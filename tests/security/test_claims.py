"""Claims are parameters in MLflow, and whoever may write there can make one: what it gets them."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tasks.promotion.review import decisions
from tasks.promotion.review.pending import pending
from tasks.promotion.review.store import Review, latest, reviews_of
from tasks.tracking.audit.log import aliases_of, read_log
from tasks.tracking.store import opened
from tests.tasks.promotion.scene import MODEL, Scene

LONG_AGO = "2026-01-01T00:00:00+00:00"
DECISION = {
    "decision": "approve",
    "comment": "Fine.",
    "reviewer": "The director",
    "time": LONG_AGO,
    "token": "1",
}


def plant(name: str, text: str) -> None:
    """Write a claim as any client of MLflow can."""
    with opened() as client:
        run_id = read_log(client, MODEL).run_id
        client.log_param(run_id, f"claim.{name}", text)


def plant_review(review: Review, name: str | None = None) -> str:
    """Plant a review that nobody has made, decided by who was never asked."""
    intent: dict[str, Any] = {
        "subject": asdict(review.subject),
        "run_id": review.run_id,
        "experiment_id": review.experiment_id,
        "made": review.made,
        "policy_says": "promote",
        "evidence": dict(review.evidence),
    }
    name = name or review.id
    plant(f"review.{name}", json.dumps(intent))
    plant(f"decision.{name}", json.dumps(DECISION))
    return name


def carry_out() -> dict[str, int]:
    """Do what every command about reviews does first; return the aliases afterwards."""
    with opened() as client:
        decisions.carry_out_abandoned(client, MODEL)
        return aliases_of(client, MODEL)


def actions() -> list[str]:
    with opened() as client:
        return [entry["action"] for entry in read_log(client, MODEL).entries]


def test_a_review_of_versions_that_are_not_the_present_ones_makes_no_champion(
    reviewed: Scene,
) -> None:
    present = latest(MODEL)
    for changed in ({"candidate": 1, "champion": None}, {"since": 7}, {"test_split": "0" * 32}):
        plant_review(replace(present, subject=replace(present.subject, **changed)))
    before = actions()
    assert carry_out() == {"candidate": 2, "champion": 1}
    assert actions() == [*before, "lapse", "lapse", "lapse"]
    assert carry_out() == {"candidate": 2, "champion": 1}
    assert actions().count("lapse") == 3


def test_a_review_under_a_name_of_its_own_is_none(reviewed: Scene) -> None:
    plant_review(latest(MODEL), name="0123456789abcdef")
    before = actions()
    assert carry_out() == {"candidate": 2, "champion": 1}
    assert actions() == before


def test_a_decision_on_the_present_review_lapses_where_the_files_are_not_those_reviewed(
    reviewed: Scene,
) -> None:
    review = latest(MODEL)
    with opened() as client:
        source = client.get_model_version(MODEL, "2").source
        model = client.get_logged_model(source.rpartition("/")[2])
        location = Path(model.artifact_location.removeprefix("file://"))
    (weights,) = location.rglob("model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    plant(f"decision.{review.id}", json.dumps(DECISION))
    assert carry_out() == {"candidate": 2, "champion": 1}
    assert actions()[-1] == "lapse"


@pytest.mark.parametrize(
    "text",
    ["no JSON", "[]", "{}", '{"decision": "approve"}', '{"decision": "make tea", "time": "1"}', "1",
     "[" * 20_000],
)  # fmt: skip
def test_a_claim_that_is_none_ends_no_command_and_promotes_nothing(
    reviewed: Scene, text: str
) -> None:
    review = latest(MODEL)
    plant("review.0123456789abcdef", text)
    plant(f"decision.{review.id}", text)
    assert carry_out() == {"candidate": 2, "champion": 1}
    with opened() as client:
        assert all(one.id != "0123456789abcdef" for one in reviews_of(read_log(client, MODEL)))
        problems = read_log(client, MODEL).problems()
    assert [one.model for one in pending()] == [MODEL]
    is_object = text.startswith('{"')
    assert len(problems) == (0 if is_object else 2)
