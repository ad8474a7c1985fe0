"""Reviews: made once for each subject, kept on the MLflow server, found again from any machine.

A review is a run ``review@<model>`` with the report, and a claim ``review.<id>`` that names this
run and the sha256 of everything reviewed. A claim ``decision.<id>`` is the decision on it. Claims
cannot be altered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.errors import BadInput
from tasks.promotion.review.subject import Subject, subject_of
from tasks.tracking.audit.log import AuditLog, read_log
from tasks.tracking.store import opened


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
    """``decision``, ``reviewer``, ``comment`` and ``time``, once somebody has decided."""

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
    """Return all reviews of a model, the oldest first."""
    reviews = [
        Review(
            subject=Subject(**intent["subject"]),
            run_id=intent["run_id"],
            experiment_id=intent["experiment_id"],
            made=intent["made"],
            policy_says=intent["policy_says"],
            evidence=intent["evidence"],
            decided=log.claims.get(f"decision.{name.removeprefix('review.')}"),
        )
        for name, intent in log.claims.items()
        if name.startswith("review.")
    ]
    return sorted(reviews, key=lambda review: (review.made, review.id))


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
