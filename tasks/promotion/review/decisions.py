"""Deciding on a review: checked against what was reviewed, claimed once, then carried out.

The claim ``decision.<id>`` is the decision: of two reviewers at the same moment one makes it, and
the other is told. What follows (tags, aliases, the audit log) may be done again without harm, so
that a decision whose process was killed is carried out by the next command.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.contracts.actor import actor as who_acts
from tasks.errors import BadInput, DownstreamError, one_of
from tasks.progress import say
from tasks.promotion.connection import connected
from tasks.promotion.review.store import Review, find, reviews_of
from tasks.promotion.review.subject import Subject
from tasks.promotion.review.unchanged import require_unchanged
from tasks.tracking.audit.aliases import CHAMPION, move, settle
from tasks.tracking.audit.log import read_log
from tasks.tracking.audit.writer import Change, append, claim

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

DONE = {"approve": "approved", "reject": "rejected"}
"""The decisions, and what they make of a version."""
LAPSE = "lapse"
ENDS = (*DONE, LAPSE)
"""The actions of the audit log with which a decision is carried out."""
LONGEST_COMMENT = 2000
LONGEST_NAME = 200
REVIEW_TAG = "downstream.review"
ABANDONED_AFTER = timedelta(seconds=30)
"""A decision that was claimed longer ago and not carried out is that of a killed process."""


class AlreadyDecided(DownstreamError):
    """Somebody has decided on this review before."""


class BadAnswer(BadInput):
    """A decision without a comment, without a name, or of another kind than there is."""


def decide(review: Review, decision: str, comment: str, reviewer: str | None = None) -> Review:
    """Approve or reject the candidate of a review.

    Args:
        review: what the reviewer has seen.
        decision: ``approve`` or ``reject``.
        comment: why.
        reviewer: who; by default the user of this process.

    Returns:
        The review with the decision.

    Raises:
        AlreadyDecided: somebody else was first.
        BadAnswer: no comment or no name.
        BadInput: what would be promoted is no longer what was reviewed.
    """
    intent = _intent(decision, comment, reviewer)
    model = review.subject.model
    with connected() as client:
        carry_out_abandoned(client, model)
        log = settle(client, model)
        _require_undecided(find(log, review.subject) or review)
        require_unchanged(client, log, review, thoroughly=decision == "approve")
        held = claim(client, model, f"decision.{review.id}", intent)
        decided = replace(review, decided=held)
        if held != intent:
            _require_undecided(decided)
        _carry_out(client, decided)
    return decided


def carry_out_abandoned(client: MlflowClient, model: str) -> None:
    """Finish the decisions on a model that were claimed by processes that have died since."""
    log = read_log(client, model)
    ended = {
        entry["evidence"].get("review")
        for entry in log.entries
        if entry["action"] in ENDS and entry["alias"] in (None, CHAMPION)
    }
    for review in reviews_of(log):
        if review.decided and review.id not in ended and _is_abandoned(review.decided):
            say(f"{review.title}: {told(review)}; carried out now, since that was interrupted")
            try:
                _carry_out(client, review)
            except DownstreamError as error:
                _let_lapse(client, review, error)


def _let_lapse(client: MlflowClient, review: Review, error: DownstreamError) -> None:
    """Write down that a decision is not carried out any more: the champion has moved since."""
    reason = f"{told(review)}; not carried out: {error}"
    say(f"warning: {review.title}: {reason}")
    about = {"review": review.id, "run": review.run_id}
    version = review.subject.candidate
    change = Change(LAPSE, version_to=version, reason=reason, evidence=about)
    append(client, review.subject.model, change)


def told(review: Review) -> str:
    """Return one sentence about who decided what."""
    if review.decided is None:
        return "not decided yet"
    made = review.decided
    return f"{DONE[made['decision']]} by {made['reviewer']} at {made['time']}: {made['comment']}"


def _intent(decision: str, comment: str, reviewer: str | None) -> dict[str, str]:
    comment = " ".join(comment.split())
    reviewer = " ".join((reviewer if reviewer is not None else who_acts()).split())
    if decision not in DONE:
        raise BadAnswer(f"decision: no {decision!r}; {one_of(decision, DONE)}")
    for name, text, longest in (
        ("comment", comment, LONGEST_COMMENT),
        ("reviewer", reviewer, LONGEST_NAME),
    ):
        if not text:
            raise BadAnswer(f"{name}: it is empty; it is recorded, so that others can understand")
        if len(text) > longest:
            raise BadAnswer(
                f"{name}: {len(text):,} characters are too long to be recorded: {longest:,} at most"
            )
    return {
        "decision": decision,
        "comment": comment,
        "reviewer": reviewer,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        # Two people of one name who decide the same are two.
        "token": uuid.uuid4().hex,
    }


def _require_undecided(review: Review) -> None:
    if review.decided is not None:
        raise AlreadyDecided(f"{review.title} was {told(review)}")


def _is_abandoned(decided: Mapping[str, str]) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(decided["time"]) > ABANDONED_AFTER


def _carry_out(client: MlflowClient, review: Review) -> None:
    """Write tags, aliases and log; what ends a decision comes last."""
    subject, made = review.subject, review.decided
    if made is None:
        raise AssertionError("what was not decided cannot be carried out")
    model, version = subject.model, str(subject.candidate)
    actor = made["reviewer"]
    about = {"review": review.id, "run": review.run_id, **_inputs(subject), **review.evidence}
    client.set_model_version_tag(model, version, REVIEW_TAG, DONE[made["decision"]])
    client.set_tag(review.run_id, f"{REVIEW_TAG}_decision", DONE[made["decision"]])
    client.set_tag(review.run_id, f"{REVIEW_TAG}_by", actor)
    how: dict[str, Any] = {"reason": made["comment"], "evidence": about, "actor": actor}
    if made["decision"] == "reject":
        append(client, model, Change("reject", version_to=subject.candidate, **how))
    else:
        change = Change("approve", CHAMPION, subject.champion, subject.candidate, **how)
        move(client, model, change, expected=subject.champion)


def _inputs(subject: Subject) -> dict[str, str]:
    return {
        "test_split": subject.test_split,
        "code": subject.code,
        "settings": subject.settings,
    }
