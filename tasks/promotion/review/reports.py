"""The report of a review, read from MLflow and checked against what was reviewed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.errors import BadInput, Unreachable
from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.connection import connected
from tasks.promotion.review import evidence
from tasks.promotion.review.store import Review
from tasks.tracking.store import errors, first_line

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

REPORT = "review"
"""Where a run keeps its report; so begin the names of its files in a review's evidence."""


@dataclass(frozen=True)
class Report:
    """A review with what its reviewer reads."""

    review: Review
    summary: evidence.Summary
    comparison: Comparison | None
    page: str
    """HTML, in one file."""


def read_report(review: Review) -> Report:
    """Return what a reviewer reads, checked against what was reviewed.

    Raises:
        BadInput: a file of the report was altered or removed.
        Unreachable: MLflow does not give it.
    """
    with (
        tempfile.TemporaryDirectory(prefix="downstream-review-") as temporary,
        connected() as client,
    ):
        folder = checked_report(client, review, Path(temporary))
        comparison = folder / evidence.COMPARISON
        page = folder / (evidence.PAGE if comparison.exists() else evidence.CARD_PAGE)
        return Report(
            review=review,
            summary=files.read_json(folder / evidence.REVIEW),
            comparison=files.read_json(comparison) if comparison.exists() else None,
            page=page.read_text(encoding="utf-8"),
        )


def checked_report(client: MlflowClient, review: Review, folder: Path) -> Path:
    """Copy the report from MLflow, each file checked against its hash.

    Raises:
        BadInput: a file was altered or removed.
        Unreachable: MLflow does not give it.
    """
    try:
        found = Path(client.download_artifacts(review.run_id, REPORT, str(folder)))
    except errors() as error:
        raise Unreachable(
            f"{review.title}: MLflow does not give the report (run {review.run_id}): "
            f"{first_line(error)}"
        ) from error
    for name, sha256 in review.evidence.items():
        path = found / name.removeprefix(f"{REPORT}/")
        if name.startswith(f"{REPORT}/") and not (path.is_file() and files.sha256(path) == sha256):
            raise BadInput(
                f"{review.title}: {path.name} of the report in MLflow (run {review.run_id}) is not "
                "the one that was written: somebody has altered it, so nothing can be decided on it"
            )
    return found
