"""Reviews are found again, with what was decided meanwhile."""

import json
from dataclasses import replace

import pytest

from tasks.errors import BadInput
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.store import find, find_again, latest, reviews_of
from tasks.tracking.audit.log import read_log
from tasks.tracking.store import opened
from tests.tasks.promotion.scene import MODEL, Scene


def test_reviews_come_oldest_first_and_are_found_by_their_subject(reviewed: Scene) -> None:
    with opened() as client:
        log = read_log(client, MODEL)
    first, second = reviews_of(log)
    assert (first.title, second.title) == (
        "topics version 1 as the first champion",
        "topics version 2 against 1",
    )
    assert (first.decided or {})["reviewer"] == "Ann"
    assert second.decided is None
    assert find(log, second.subject) == second == latest(MODEL)


def test_a_review_is_found_again_with_its_decision(reviewed: Scene) -> None:
    review = latest(MODEL)
    decided = decide(review, "reject", "Too slow.", "Bob")
    assert find_again(review) == decided != review


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("made", 5),
        ("made", None),
        ("run_id", ["a"]),
        ("experiment_id", {}),
        ("policy_says", 1),
        ("evidence", "candidate/weights"),
        ("evidence", {"candidate/weights": 7}),
        ("evidence", {"candidate/weights": ["a"]}),
    ],
)
def test_a_claim_with_values_that_no_review_has_is_none(
    reviewed: Scene, field: str, value: object
) -> None:
    with opened() as client:
        log = read_log(client, MODEL)
    first, second = reviews_of(log)
    key = f"claim.review.{second.id}"
    text = json.dumps({**json.loads(log.params[key]), field: value})
    assert reviews_of(replace(log, params={**log.params, key: text})) == [first]


def test_a_candidate_that_was_not_reviewed_yet_has_none(reviewed: Scene) -> None:
    reviewed.register("other")
    with pytest.raises(BadInput, match=r"^topics version 3 was not compared with the champion yet"):
        latest(MODEL)
