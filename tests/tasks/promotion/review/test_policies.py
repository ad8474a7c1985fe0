"""What the policy decides, so that nobody is asked."""

import pytest

from tasks.promotion.review.policies import request_and_decide
from tests.tasks.promotion.scene import MODEL, Scene


def test_a_policy_decides_by_itself_and_says_why(
    reviewed: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    reviewed.configure({"review": {"policy": "auto_if_better"}})
    review = request_and_decide(MODEL)
    assert review.decided is not None
    assert (review.decided["decision"], review.decided["reviewer"]) == (
        "approve",
        "policy auto_if_better",
    )
    assert "significantly better (McNemar's exact test" in review.decided["comment"]


def test_a_missed_gate_rejects_under_the_manual_policy_too(reviewed: Scene) -> None:
    reviewed.configure({"serving": {"size_mb": 0.001}})
    review = request_and_decide(MODEL)
    assert review.decided is not None
    assert review.decided["reviewer"] == "policy manual"
    assert review.decided["comment"].startswith("the size of the model is ")
    assert request_and_decide(MODEL) == review
