"""Reviews: made once for each subject, kept on the MLflow server, found again from any machine.

A review is a run ``review@<model>`` with the report, and a claim ``review.<id>`` that names this
run and the sha256 of everything reviewed. A claim ``decision.<id>`` is the decision on it. Claims
cannot be altered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.errors import BadInput
from tasks.promotion.review.subject import Subject, subject_of
from tasks.tracking.audit.log import AuditLog, read_log
from tasks.tracking.store import opened

REVIEW, DECISION = "review.", "decision."
"""What the names of the two claims begin with."""


@dataclass(frozen=True)
class Review:
    """What was reviewed, what the policy said, and what was decided."""

    subject: Subject
    run_id: str
    experiment_id: str
    made: str
    """When, UTC."""
    policy_says: str
    """``promote``, ``reject`` or ``ask``."""
    evidence: Mapping[str, str]
    """The sha256 of what was reviewed."""
    decided: Mapping[str, str] | None
    """``decision``, ``reviewer``, ``comment``, ``time``, once somebody has decided; and, where it
    was signed, ``signature``."""

    @property
    def id(self) -> str:
        """What names the review."""
        return self.subject.review_id

    @property
    def title(self) -> str:
        """How a reviewer knows it."""
        subject = self.subject
        against = f"against {subject.champion}" if subject.champion else "as the first champion"
        return f"{subject.model} version {subject.candidate} {against}"


def find(log: AuditLog, subject: Subject) -> Review | None:
    """Return the review of a subject, if it was made."""
    return next((review for review in reviews_of(log) if review.subject == subject), None)


def reviews_of(log: AuditLog) -> list[Review]:
    """Return all reviews of a model, the oldest first; a claim that is none of ours is left out."""
    claimed = (
        _review(log, name.removeprefix(REVIEW), intent)
        for name, intent in log.claims.items()
        if name.startswith(REVIEW)
    )
    reviews = [review for review in claimed if review is not None]
    return sorted(reviews, key=lambda review: (review.made, review.id))


def _review(log: AuditLog, name: str, intent: Mapping[str, Any]) -> Review | None:
    """Return the review that a claim is of; None if downstream has not made it."""
    decided = log.claims.get(f"{DECISION}{name}")
    try:
        review = Review(
            subject=Subject(**intent["subject"]),
            decided=decided,
            **{
                field: intent[field]
                for field in ("run_id", "experiment_id", "made", "policy_says", "evidence")
            },
        )
        # The name of a review is the hash of its subject, so that none can be had for another's.
        is_ours = review.id == name and review.subject.model == log.model
        told = (review.run_id, review.experiment_id, review.made, review.policy_says)
        is_ours &= all(isinstance(each, str) for each in (*told, *review.evidence.values()))
        if decided is not None:
            is_ours &= decided["decision"] in ("approve", "reject")
            is_ours &= all(isinstance(decided[each], str) for each in ("reviewer", "comment"))
            is_ours &= isinstance(decided.get("signature", ""), str)
            is_ours &= datetime.fromisoformat(decided["time"]).tzinfo is not None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return review if is_ours else None


def latest(model: str) -> Review:
    """Return the review of a model's candidate that a decision would be about.

    Raises:
        NothingToReview: there is no candidate, or it is the champion already.
        BadInput: it was not reviewed yet.
    """
    with opened() as client:
        log = read_log(client, model)
    subject = subject_of(log)
    reviews = [review for review in reviews_of(log) if review.subject.versions == subject.versions]
    if not reviews:
        raise BadInput(
            f"{model} version {subject.candidate} was not compared with the champion yet: "
            f"`downstream review request {model}`, look at it, and decide then"
        )
    return next((review for review in reviews if review.subject == subject), reviews[-1])


def find_again(review: Review) -> Review:
    """Return a review as it is now, with the decision that was made meanwhile."""
    with opened() as client:
        return find(read_log(client, review.subject.model), review.subject) or review
