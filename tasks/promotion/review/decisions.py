"""Deciding on a review: checked against what was reviewed, claimed once, then carried out.

What would be promoted must be what was reviewed (versions, data, code, settings, files), and the
audit log, which says who has reviewed what, must hold.

The claim ``decision.<id>`` is the decision: of two reviewers at the same moment one makes it, and
the other is told. What follows (tags, aliases, the audit log) may be done again without harm, so
that a decision whose process was killed is carried out by the next command.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.errors import BadInput, DownstreamError, one_of
from tasks.machine.actor import POLICY, is_person
from tasks.machine.actor import actor as who_acts
from tasks.progress import say
from tasks.promotion.review.report import checked_report, read_report
from tasks.promotion.review.requests import request
from tasks.promotion.review.signatures import SIGNATURE, SINCE, check, sign, signed_text
from tasks.promotion.review.store import Review, find, find_again, reviews_of
from tasks.promotion.review.subject import Subject, corpus_of, split_file, subject_of
from tasks.promotion.versions import download_model
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION, move, settle
from tasks.tracking.audit.log import AuditLog, read_log
from tasks.tracking.audit.writer import Change, append, claim
from tasks.tracking.registry.version import REVIEW, SERVED_FILES, WEIGHTS_HASH, read_version
from tasks.tracking.store import opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

DONE = {"approve": "approved", "reject": "rejected"}
"""The decisions, and what they make of a version."""
OF_POLICY = {"promote": "approve", "reject": "reject"}
"""What follows by itself from what the policy says."""
LAPSE = "lapse"
ENDS = (*DONE, LAPSE)
"""The actions of the audit log with which a decision is carried out."""
LONGEST_COMMENT = 2000
LONGEST_SIGNED_COMMENT = 1000
LONGEST_NAME = 200
REVIEW_TAG = "downstream.review"
ABANDONED_AFTER = timedelta(seconds=30)
"""A decision that was claimed longer ago and not carried out is that of a killed process."""


class AlreadyDecided(DownstreamError):
    """Somebody has decided on this review before."""


class BadAnswer(BadInput):
    """A decision without a comment, without a name, or of another kind than there is."""


def request_and_decide(model: str) -> Review:
    """Return the review of a model's candidate, decided if its policy says how.

    A missed gate rejects under every policy.

    Raises:
        NothingToReview: there is no candidate, or it is the champion already.
        BadInput: a file of a version is not the one that was registered.
        Unreachable: the store is away.
    """
    review = request(model)
    decision = OF_POLICY.get(review.policy_says)
    if review.decided is not None or decision is None:
        return review
    said = read_report(review).summary["decision"]
    comment = "; ".join(said["reasons"])[:LONGEST_COMMENT]
    try:
        return _decide(review, _intent(decision, comment, f"{POLICY} {said['policy']}"))
    except AlreadyDecided:
        return find_again(review)  # by another process that has asked at the same time


def decide(
    review: Review,
    decision: str,
    comment: str,
    reviewer: str | None = None,
    key: Path | None = None,
) -> Review:
    """Approve or reject the candidate of a review.

    Args:
        review: what the reviewer has seen.
        decision: ``approve`` or ``reject``.
        comment: why.
        reviewer: who; by default the user of this process.
        key: an SSH key of theirs, which signs the decision; None for none.

    Returns:
        The review with the decision.

    Raises:
        AlreadyDecided: somebody else was first.
        BadAnswer: no comment or no name, or one that is not a person's.
        BadInput: what would be promoted is no longer what was reviewed.
    """
    intent = _intent(decision, comment, reviewer if reviewer is not None else who_acts())
    if not is_person(intent["reviewer"]):
        raise BadAnswer(
            f"reviewer: {intent['reviewer']!r} is how the log names what no person has decided: "
            "give your own name"
        )
    if key is not None:
        if len(intent["comment"]) > LONGEST_SIGNED_COMMENT:
            raise BadAnswer(
                f"comment: {len(intent['comment']):,} characters are too long to be recorded "
                f"beside a signature: {LONGEST_SIGNED_COMMENT:,} at most"
            )
        intent[SIGNATURE] = sign(_signed_text(review, intent), key)
    return _decide(review, intent)


def _decide(review: Review, intent: dict[str, str]) -> Review:
    decision = intent["decision"]
    model = review.subject.model
    with opened() as client:
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


def require_unchanged(
    client: MlflowClient, log: AuditLog, review: Review, *, thoroughly: bool
) -> None:
    """Check that what would be promoted is what was reviewed.

    Args:
        client: the open store.
        log: the audit log of the model, as it is now.
        review: what was reviewed.
        thoroughly: check data, code, settings and every file too, not the versions alone.

    Raises:
        BadInput: it is not; the message names what differs.
    """
    then = review.subject
    now = subject_of(log)
    if (now.candidate, now.champion) != (then.candidate, then.champion):
        raise BadInput(
            f"{review.title}: the aliases have moved since it was reviewed: the candidate is "
            f"version {now.candidate}, the champion {now.champion or 'none'}. "
            f"`downstream review show {then.model}` shows the present pair"
        )
    if not thoroughly:
        return
    problems = log.problems()
    if problems:
        raise BadInput(
            f"the audit log does not hold: {problems[0]}: find out who altered it "
            f"(`downstream history {log.model} --verify`) before anything is promoted"
        )
    _require_same_inputs(review, now)
    _require_same_files(client, review)


def _require_same_inputs(review: Review, now: Subject) -> None:
    then, again = review.subject, f"`downstream review request {now.model}` compares anew"
    if now.test_split != then.test_split:
        raise BadInput(
            f"{review.title}: the test split is not the one it was reviewed on (md5 "
            f"{now.test_split[:12]}, reviewed {then.test_split[:12]}): restore it, or {again}"
        )
    if now.code != then.code:
        raise BadInput(
            f"{review.title}: the code of evaluate is not the one it was reviewed with: check that "
            f"out, or {again}"
        )
    if now.settings != then.settings:
        raise BadInput(
            f"{review.title}: models.{now.model}.register in params.yaml is not what it was when "
            f"it was reviewed: change it back, or {again}"
        )
    if now != then:
        raise BadInput(f"{review.title}: the champion has been another in between: {again}")


def _require_same_files(client: MlflowClient, review: Review) -> None:
    subject, evidence = review.subject, review.evidence
    versions = {
        who: read_version(client, subject.model, number)
        for who, number in ((CANDIDATE, subject.candidate), (CHAMPION, subject.champion))
        if number is not None
    }
    for who, version in versions.items():
        recorded, reviewed = version.weights_sha256, evidence[f"{who}/weights"]
        if recorded != reviewed:
            raise BadInput(
                f"{version.title}: its tag {WEIGHTS_HASH} is not the sha256 of the weights that "
                f"were reviewed ({recorded[:12]}, reviewed {reviewed[:12]}): somebody has altered "
                "it, do not use it"
            )
        served = evidence.get(f"{who}/served")
        if served and files.sha256_of_text(version.tags.get(SERVED_FILES, "")) != served:
            raise BadInput(
                f"{version.title}: its tag {SERVED_FILES} does not name the code that was "
                "reviewed: somebody has altered it, do not use it"
            )
    with tempfile.TemporaryDirectory(prefix="downstream-review-") as temporary:
        checked_report(client, review, Path(temporary))
        model = download_model(client, versions[CANDIDATE], Path(temporary) / "model")
        if files.sha256_of_folder(model) != evidence["candidate/model"]:
            raise BadInput(
                f"{review.title}: the model's files in MLflow are not those that were reviewed: "
                "somebody has altered them, do not use it"
            )


def carry_out_abandoned(client: MlflowClient, model: str) -> None:
    """Finish the decisions on a model that were claimed by processes that have died since."""
    log = read_log(client, model)
    ended = {
        entry["evidence"].get("review")
        for entry in log.entries
        if entry["action"] in ENDS and entry["alias"] in (None, CHAMPION)
    }
    for review in reviews_of(log):
        if review.decided is None or review.id in ended:
            continue
        age = datetime.now(UTC) - datetime.fromisoformat(review.decided["time"])
        if age > ABANDONED_AFTER:
            try:
                # A claim is a parameter in MLflow: whoever may write there can make one, and one
                # of a killed process is old. It has to be as good as a decision that is made now.
                thoroughly = review.decided["decision"] == "approve"
                _require_signature(review, review.decided)
                require_unchanged(client, log, review, thoroughly=thoroughly)
            except DownstreamError as error:
                if not _can_check(review):
                    say(f"{review.title}: {outcome(review)}; not carried out here: {error}")
                    continue
                _let_lapse(client, review, error)
                continue
            say(f"{review.title}: {outcome(review)}; carried out now, since that was interrupted")
            try:
                _carry_out(client, review)
            except DownstreamError as error:
                _let_lapse(client, review, error)


def _require_signature(review: Review, made: Mapping[str, str]) -> None:
    if SIGNATURE in made:
        checked = check(_signed_text(review, made), made[SIGNATURE])
        if not checked.holds:
            raise BadInput(f"{review.title}: {checked.says}")


def _signed_text(review: Review, made: Mapping[str, str]) -> str:
    subject, told = review.subject, (made["decision"], made["reviewer"], made["comment"])
    evidence = {**_evidence(review), SINCE: str(subject.since)}
    return signed_text(subject.model, subject.candidate, *told, evidence)


def _evidence(review: Review) -> dict[str, str]:
    subject = review.subject
    return {
        "review": review.id,
        "run": review.run_id,
        "test_split": subject.test_split,
        "code": subject.code,
        "settings": subject.settings,
        **review.evidence,
    }


def _can_check(review: Review) -> bool:
    """Tell whether this machine has the records that a review was made on."""
    try:
        split_file(corpus_of(review.subject.model))
    except DownstreamError:
        return False
    return True


def _let_lapse(client: MlflowClient, review: Review, error: DownstreamError) -> None:
    """Write down that a decision is not carried out any more: the champion has moved since."""
    reason = f"{outcome(review)}; not carried out: {error}"
    say(f"warning: {review.title}: {reason}")
    about = {"review": review.id, "run": review.run_id}
    version = review.subject.candidate
    change = Change(LAPSE, version_to=version, reason=reason, evidence=about)
    append(client, review.subject.model, change)


def outcome(review: Review) -> str:
    """Return one sentence about who decided what."""
    if review.decided is None:
        return "not decided yet"
    made = review.decided
    return f"{DONE[made['decision']]} by {made['reviewer']} at {made['time']}: {made['comment']}"


def _intent(decision: str, comment: str, reviewer: str) -> dict[str, str]:
    comment, reviewer = " ".join(comment.split()), " ".join(reviewer.split())
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
        raise AlreadyDecided(f"{review.title} was {outcome(review)}")


def _carry_out(client: MlflowClient, review: Review) -> None:
    """Write tags, aliases and log; what ends a decision comes last."""
    subject, made = review.subject, review.decided
    if made is None:
        raise AssertionError("what was not decided cannot be carried out")
    model, version = subject.model, str(subject.candidate)
    actor = made["reviewer"]
    about = _evidence(review)
    if SIGNATURE in made:
        about |= {SINCE: str(subject.since), SIGNATURE: made[SIGNATURE]}
    client.set_model_version_tag(model, version, REVIEW, DONE[made["decision"]])
    client.set_tag(review.run_id, f"{REVIEW_TAG}_decision", DONE[made["decision"]])
    client.set_tag(review.run_id, f"{REVIEW_TAG}_by", actor)
    how: dict[str, Any] = {"reason": made["comment"], "evidence": about, "actor": actor}
    if made["decision"] == "reject":
        append(client, model, Change("reject", version_to=subject.candidate, **how))
    else:
        change = Change("approve", CHAMPION, subject.champion, subject.candidate, **how)
        move(client, model, change, expected=subject.champion)
