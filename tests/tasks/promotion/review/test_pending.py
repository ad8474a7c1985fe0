"""What becomes of each model, in a sentence."""

from tasks.promotion.review.decisions import decide
from tasks.promotion.review.pending import Pending, pending, with_candidate
from tasks.promotion.review.requests import request
from tasks.promotion.review.store import latest
from tests.tasks.promotion.scene import MODEL, Scene


def _only() -> Pending:
    (found,) = pending()
    return found


def test_a_model_goes_from_one_state_to_the_next(scene: Scene) -> None:
    assert (pending(), with_candidate()) == ([], [])
    scene.register("poor")
    assert _only().state == f"not compared yet: `downstream review request {MODEL}`"
    assert (_only().waits, with_candidate()) == (True, [MODEL])
    review = request(MODEL)
    assert _only().state == f"waits for a decision: `downstream review show {MODEL}`"
    assert _only().review == review
    decide(review, "approve", "to begin with")
    assert (_only().state, _only().waits) == ("the candidate is the champion", False)
    assert with_candidate() == []
    scene.configure({"floors": {"n_test": 1000}})
    scene.register("good")
    assert _only().state == (
        "the candidate is the champion; version 2 misses its gates: n_test is 234, below the floor "
        "of 1000"
    )


def test_a_rejected_candidate_waits_for_nobody(reviewed: Scene) -> None:
    decide(latest(MODEL), "reject", "Too slow.", "Bob")
    assert _only().state.startswith("rejected by Bob at ")
    assert not _only().waits
