"""What a reviewer reads: candidate and champion scored by the same code on the same records.

The report is made here, and read again from MLflow. It is a folder of files: ``review.json`` (what
the policy says, the gates, what serving costs), and with a champion ``comparison.json``,
``comparison.html`` and the predictions of both; without one ``card.html``, the model card.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from tasks.contracts import files
from tasks.errors import BadInput, Unreachable
from tasks.export.comparison import Answers, Classes
from tasks.metrics.predictions import (
    Labelled,
    Predictions,
    predict,
    read_labelled,
    read_predictions,
    write_predictions,
)
from tasks.models.model import description
from tasks.progress import say
from tasks.promotion.comparison.comparison import Side, compare
from tasks.promotion.comparison.headed import HeadedSides
from tasks.promotion.comparison.page import comparison_page, verdict
from tasks.promotion.comparison.schema import Comparison, Decision, Serving
from tasks.promotion.comparison.serving import measure_serving
from tasks.promotion.exports import exports_of
from tasks.promotion.gates import missed_gates, missed_serving
from tasks.promotion.lineage import accepted_upstream
from tasks.promotion.policy import apply_policy
from tasks.promotion.review.store import Review
from tasks.promotion.review.subject import Subject, corpus_of, settings_of, split_file
from tasks.promotion.versions import FetchedVersion
from tasks.reports.page import render
from tasks.tracking.registry.bindings import CODE, MODEL_MD5, SPLIT, bindings
from tasks.tracking.registry.version import CARD, GATE_FILE, METRICS, PREDICTIONS
from tasks.tracking.store import errors, first_line, opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

REPORT = "review"
"""Where a run keeps its report; so begin the names of its files in a review's evidence."""
REVIEW, COMPARISON = "review.json", "comparison.json"
PAGE, CARD_PAGE = "comparison.html", "card.html"
NUM_TIMED = 50
"""Records whose latency is measured."""
CLASSIFICATION = "classification"


class Summary(TypedDict):
    """The content of ``review.json``."""

    decision: Decision
    missed_gates: list[str]
    serving: Serving
    metrics: dict[str, Any]
    """The candidate's, as ``evaluate`` has found them."""
    exported: NotRequired[list[dict[str, Any]]]
    """How the candidate does as it is exported, where its row asks for that (``Exported``)."""
    accepted: NotRequired[list[str]]
    """Results that it was made from and that were accepted under changed code, not made again."""


@dataclass(frozen=True)
class Report:
    """A review with what its reviewer reads."""

    review: Review
    summary: Summary
    comparison: Comparison | None
    page: str
    """HTML, in one file."""


def write_report(
    subject: Subject,
    candidate: FetchedVersion,
    champion: FetchedVersion | None,
    doubts: Sequence[str],
    folder: Path,
) -> Summary:
    """Compare, judge, and write the report.

    Args:
        subject: what the review is of.
        candidate: the version that may take the champion's place.
        champion: the one that serves today, if there is one.
        doubts: why no policy promotes it by itself, a sentence each.
        folder: what is written.

    Returns:
        The content of ``review.json``.
    """
    folder.mkdir(parents=True)
    settings = settings_of(subject.model)
    versions = {"candidate": candidate, **({"champion": champion} if champion else {})}
    split = split_file(corpus_of(subject.model))
    heads = {who: description(version.model).get("head") for who, version in versions.items()}
    if heads["candidate"] != heads.get("champion", heads["candidate"]):
        raise BadInput(
            f"{subject.model}: the candidate's head is {heads['candidate'] or CLASSIFICATION}, the "
            f"champion's {heads['champion'] or CLASSIFICATION}: give the new task a row of its own"
        )
    headed = labelled = None
    sides: dict[str, Side] = {}
    serving: Serving | None
    if heads["candidate"] is not None:
        headed = HeadedSides.of(versions, subject, split, heads["candidate"], folder)
        serving = headed.serving["candidate"]
    else:
        labelled = read_labelled(split)
        sides |= {
            who: _side(version, subject, labelled, folder / f"{who}.parquet")
            for who, version in versions.items()
        }
        serving = sides["candidate"].serving
    metrics, gate = _read(candidate, METRICS), _read(candidate, GATE_FILE)
    missed = missed_gates(metrics, gate, settings)
    missed += missed_serving(serving, settings.serving) if serving else []
    exported, lost = _exported(candidate, headed, labelled, sides)
    missed += lost
    comparison = None
    if champion:
        if headed is not None:
            comparison = headed.compare(subject.model, settings, missed)
        elif labelled is not None:
            comparison = compare(
                subject.model, sides["candidate"], sides["champion"], labelled, settings, missed
            )
        files.write_json(folder / COMPARISON, comparison)
    decision = apply_policy(comparison, missed, settings)
    if decision["decision"] == "promote" and doubts:
        decision = {**decision, "decision": "ask", "reasons": [*decision["reasons"], *doubts]}
    summary: Summary = {
        "decision": decision,
        "missed_gates": missed,
        "serving": files.rounded(serving),
        "metrics": metrics,
        "accepted": _accepted(candidate),
    }
    if exported:
        summary["exported"] = exported
    files.write_json(folder / REVIEW, summary)
    if comparison:
        files.write_text(folder / PAGE, comparison_page(comparison, decision, exported))
    else:
        files.write_text(folder / CARD_PAGE, _card_page(candidate, decision, exported))
    return summary


def _exported(
    candidate: FetchedVersion,
    headed: HeadedSides | None,
    labelled: Labelled | None,
    sides: Mapping[str, Side],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return how a candidate does as its row wants it exported, and the gates missed by that.

    Args:
        candidate: the version.
        headed: what it answers, of another head than classification.
        labelled: the test records of classes.
        sides: what it says about these.
    """
    settings = settings_of(candidate.version.model).export
    if settings is None:
        return [], []
    known: Answers | Classes
    if headed is not None:
        labels = description(candidate.model)["labels"]
        known = Answers(headed.test, labels, headed.answers["candidate"])
    elif labelled is not None:
        said = sides["candidate"].predictions
        known = Classes(labelled, said.labels, said.scored)
    found, missed = exports_of(candidate, known, settings)
    return [files.rounded(asdict(one)) for one in found], missed


def _accepted(candidate: FetchedVersion) -> list[str]:
    """Return what was accepted on the way to a candidate, if it is the workspace's model."""
    model = candidate.version.model
    is_ours = candidate.version.tags.get(MODEL_MD5) == bindings(model).get(MODEL_MD5)
    return accepted_upstream(model) if is_ours else []


def _side(fetched: FetchedVersion, subject: Subject, test: Labelled, kept: Path) -> Side:
    predictions = _predictions(fetched, subject, test)
    write_predictions(kept, test, predictions.labels, predictions.scored, {})
    serving = measure_serving(fetched.model, test.contents[:NUM_TIMED])
    return Side(fetched.name, predictions, serving)


def _predictions(fetched: FetchedVersion, subject: Subject, test: Labelled) -> Predictions:
    """Return the logged predictions if they are of these records and this code, or make them."""
    logged, tags = fetched.evidence / PREDICTIONS, fetched.version.tags
    same_records = tags.get(f"{SPLIT}test") == subject.test_split
    if same_records and tags.get(f"{CODE}evaluate") == subject.code and logged.is_file():
        return read_predictions(logged)
    changed = "the code of evaluate is another now" if same_records else "the test split is another"
    say(f"{subject.model}: {fetched.name} is scored again: {changed}")
    return predict(fetched.model, test, fetched.name)


def _read(fetched: FetchedVersion, name: str) -> Any:
    try:
        return files.read_json(fetched.evidence / name)
    except (FileNotFoundError, ValueError):
        raise BadInput(
            f"{fetched.name}: MLflow keeps no readable {name} of it: it was registered by an older "
            "downstream; change nothing and `downstream run --force` its register stage"
        ) from None


def _card_page(
    candidate: FetchedVersion, decision: Decision, exported: Sequence[Mapping[str, Any]]
) -> str:
    """Return the model card of a first candidate, below what the policy says."""
    card = (candidate.evidence / CARD).with_suffix(".html")
    page = card.read_text(encoding="utf-8") if card.is_file() else ""
    return render(
        "tasks/promotion/review/report.html.j2",
        model=candidate.version.model,
        exported=exported,
        card=page.partition("<main>\n")[2].partition("</main>")[0],
        **verdict(decision, "; there is no champion yet"),
    )


def read_report(review: Review) -> Report:
    """Return what a reviewer reads, checked against what was reviewed.

    Raises:
        BadInput: a file of the report was altered or removed.
        Unreachable: MLflow does not give it.
    """
    with (
        tempfile.TemporaryDirectory(prefix="downstream-review-") as temporary,
        opened() as client,
    ):
        folder = checked_report(client, review, Path(temporary))
        comparison = folder / COMPARISON
        page = folder / (PAGE if comparison.exists() else CARD_PAGE)
        return Report(
            review=review,
            summary=files.read_json(folder / REVIEW),
            comparison=files.read_json(comparison) if comparison.exists() else None,
            page=page.read_text(encoding="utf-8"),
        )


def checked_report(client: MlflowClient, review: Review, folder: Path) -> Path:
    """Copy the report from MLflow, each file checked against its hash.

    Args:
        client: the open store.
        review: whose report.
        folder: the parent of the copy.

    Returns:
        The copy.

    Raises:
        BadInput: a file was altered or removed.
        Unreachable: MLflow does not give it.
    """
    try:
        copy = Path(client.download_artifacts(review.run_id, REPORT, str(folder)))
    except errors() as error:
        raise Unreachable(
            f"{review.title}: MLflow does not give the report (run {review.run_id}): "
            f"{first_line(error)}"
        ) from error
    for name, sha256 in review.evidence.items():
        path = copy / name.removeprefix(f"{REPORT}/")
        if name.startswith(f"{REPORT}/") and not (path.is_file() and files.sha256(path) == sha256):
            raise BadInput(
                f"{review.title}: {path.name} of the report in MLflow (run {review.run_id}) is not "
                "the one that was written: somebody has altered it, so nothing can be decided on it"
            )
    return copy
