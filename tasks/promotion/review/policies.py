"""What the policy of ``params.yaml`` decides by itself, so that nobody needs to be asked."""

from tasks.promotion.review.decisions import LONGEST_COMMENT, AlreadyDecided, decide
from tasks.promotion.review.reports import read_report
from tasks.promotion.review.requests import request
from tasks.promotion.review.store import Review, find_again

DECISIONS = {"promote": "approve", "reject": "reject"}


def request_and_decide(model: str) -> Review:
    """Return the review of a model's candidate, decided if its policy says how.

    A missed gate rejects under every policy.

    Raises:
        NothingToReview: there is no candidate, or it is the champion already.
        BadInput: a file of a version is not the one that was registered.
        Unreachable: the store is away.
    """
    review = request(model)
    decision = DECISIONS.get(review.policy_says)
    if review.decided is not None or decision is None:
        return review
    said = read_report(review).summary["decision"]
    comment = "; ".join(said["reasons"])[:LONGEST_COMMENT]
    try:
        return decide(review, decision, comment, f"policy {said['policy']}")
    except AlreadyDecided:
        return find_again(review)  # by another process that has asked at the same time
