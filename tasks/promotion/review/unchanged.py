"""What would be promoted must be what was reviewed: versions, data, code, settings, files.

And the audit log, which says who has reviewed what, must hold.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.promotion.review.reports import checked_report
from tasks.promotion.review.store import Review
from tasks.promotion.review.subject import Subject, subject_of
from tasks.promotion.versions import download_model, tags_of
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION
from tasks.tracking.audit.log import AuditLog
from tasks.tracking.registry.version import WEIGHTS_HASH

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient


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
    if thoroughly:
        _require_whole_log(log)
        _require_same_inputs(review, now)
        _require_same_files(client, review)


def _require_whole_log(log: AuditLog) -> None:
    found = log.problems()
    if found:
        raise BadInput(
            f"the audit log does not hold: {found[0]}: find out who altered it "
            f"(`downstream history {log.model} --verify`) before anything is promoted"
        )


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
    subject = review.subject
    for who, version in ((CANDIDATE, subject.candidate), (CHAMPION, subject.champion)):
        if version is None:
            continue
        found = tags_of(client, subject.model, version).get(WEIGHTS_HASH, "")
        if found != review.evidence[f"{who}/weights"]:
            raise BadInput(
                f"{subject.model} version {version}: its tag {WEIGHTS_HASH} is not the sha256 of "
                f"the weights that were reviewed ({found[:12]}, reviewed "
                f"{review.evidence[f'{who}/weights'][:12]}): somebody has altered it, do not use it"
            )
    with tempfile.TemporaryDirectory(prefix="downstream-review-") as temporary:
        checked_report(client, review, Path(temporary))
        model = download_model(client, subject.model, subject.candidate, Path(temporary) / "model")
        _require_same_model(review, model)


def _require_same_model(review: Review, model: Path) -> None:
    if files.sha256_of_folder(model) != review.evidence["candidate/model"]:
        raise BadInput(
            f"{review.title}: the model's files in MLflow are not those that were reviewed: "
            "somebody has altered them, do not use it"
        )
