"""What a reviewer is shown: candidate and champion scored by the same code on the same records.

The report is a folder of files: ``review.json`` (what the policy says, the gates, what serving
costs), and with a champion ``comparison.json``, ``comparison.html`` and the predictions of both;
without one ``card.html``, the candidate's model card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.metrics.predictions import (
    Labelled,
    Predictions,
    predict,
    read_labelled,
    read_predictions,
    write_predictions,
)
from tasks.progress import say
from tasks.promotion.comparison.comparison import Side, compare
from tasks.promotion.comparison.page import HEADLINES, comparison_page
from tasks.promotion.comparison.schema import Comparison, Decision, Serving
from tasks.promotion.comparison.serving import measure_serving
from tasks.promotion.gates import missed_gates, missed_serving
from tasks.promotion.policy import decide
from tasks.promotion.review.subject import Subject, corpus_of, settings_of, split_file
from tasks.promotion.settings import PromotionSettings
from tasks.promotion.versions import download_evidence, download_model, tags_of
from tasks.tracking.registry.bindings import CODE, SPLIT
from tasks.tracking.registry.version import CARD, METRICS, PREDICTIONS

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

REVIEW, COMPARISON = "review.json", "comparison.json"
PAGE, CARD_PAGE = "comparison.html", "card.html"
NUM_TIMED = 50
"""Records whose latency is measured."""


class Summary(TypedDict):
    """The content of ``review.json``."""

    decision: Decision
    missed_gates: list[str]
    serving: Serving
    metrics: dict[str, Any]
    """The candidate's, as ``evaluate`` has found them."""


@dataclass(frozen=True)
class Version:
    """A registered version with its files at hand."""

    number: int
    folder: Path
    evidence: Path
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """How a reviewer knows it."""
        return f"version {self.number}"


def fetch(client: MlflowClient, model: str, number: int, folder: Path) -> Version:
    """Copy a version's model and evidence from MLflow, each file checked against its hash.

    Raises:
        BadInput: a file is not the one that was registered.
        Unreachable: MLflow does not give the files.
    """
    place = folder / str(number)
    say(f"{model}: fetching version {number} from MLflow")
    return Version(
        number,
        download_model(client, model, number, place),
        download_evidence(client, model, number, place),
        tags_of(client, model, number),
    )


def write_report(
    subject: Subject,
    candidate: Version,
    champion: Version | None,
    returns: bool,
    folder: Path,
) -> Summary:
    """Compare, judge, and write the report.

    Args:
        subject: what the review is of.
        candidate: the version that may take the champion's place.
        champion: the one that serves today, if there is one.
        returns: the candidate was champion before; no policy brings it back by itself.
        folder: what is written.

    Returns:
        The content of ``review.json``.
    """
    folder.mkdir(parents=True)
    settings = settings_of(subject.model)
    test = read_labelled(split_file(corpus_of(subject.model)))
    sides = {
        who: _side(version, subject, test, folder / f"{who}.parquet")
        for who, version in (("candidate", candidate), ("champion", champion))
        if version
    }
    missed = _missed(candidate, sides["candidate"].serving, settings)
    comparison = None
    if "champion" in sides:
        comparison = compare(
            subject.model, sides["candidate"], sides["champion"], test, settings, missed
        )
        files.write_json(folder / COMPARISON, comparison)
    decision = _decision(comparison, missed, settings, candidate, returns)
    summary: Summary = {
        "decision": decision,
        "missed_gates": missed,
        "serving": files.rounded(sides["candidate"].serving),
        "metrics": _read(candidate, METRICS),
    }
    files.write_json(folder / REVIEW, summary)
    _write_page(folder, comparison, decision, candidate)
    return summary


def _side(version: Version, subject: Subject, test: Labelled, kept: Path) -> Side:
    predictions = _predictions(version, subject, test)
    write_predictions(kept, test, predictions.labels, predictions.scored, {})
    serving = measure_serving(version.folder, test.contents[:NUM_TIMED])
    return Side(version.name, predictions, serving)


def _predictions(version: Version, subject: Subject, test: Labelled) -> Predictions:
    """Return the logged predictions if they are of these records and this code, or make them."""
    logged = version.evidence / PREDICTIONS
    same_records = version.tags.get(f"{SPLIT}test") == subject.test_split
    if same_records and version.tags.get(f"{CODE}evaluate") == subject.code and logged.is_file():
        return read_predictions(logged)
    changed = "the code of evaluate is another now" if same_records else "the test split is another"
    say(f"{subject.model}: {version.name} is scored again: {changed}")
    return predict(version.folder, test, version.name)


def _missed(candidate: Version, serving: Serving | None, settings: PromotionSettings) -> list[str]:
    metrics, gate = _read(candidate, METRICS), _read(candidate, "gate.json")
    missed = missed_gates(metrics, gate, settings)
    return missed + (missed_serving(serving, settings.serving) if serving else [])


def _read(version: Version, name: str) -> Any:
    try:
        return files.read_json(version.evidence / name)
    except (FileNotFoundError, ValueError):
        raise BadInput(
            f"{version.name}: MLflow keeps no readable {name} of it: it was registered by an older "
            "downstream; change nothing and `downstream run --force` its register stage"
        ) from None


def _decision(
    comparison: Comparison | None,
    missed: list[str],
    settings: PromotionSettings,
    candidate: Version,
    returns: bool,
) -> Decision:
    found = decide(comparison, missed, settings)
    if found["decision"] != "promote" or not returns:
        return found
    reason = f"{candidate.name} was champion before: a person decides whether it returns"
    return {**found, "decision": "ask", "reasons": [*found["reasons"], reason]}


def _write_page(
    folder: Path, comparison: Comparison | None, decision: Decision, candidate: Version
) -> None:
    if comparison is not None:
        files.write_text(folder / PAGE, comparison_page(comparison, decision))
        return
    card = candidate.evidence / Path(CARD).with_suffix(".html")
    page = card.read_text(encoding="utf-8") if card.is_file() else "<main>\n</main>\n"
    manner, headline = HEADLINES[decision["decision"]]
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in decision["reasons"])
    banner = (
        f'<div class="verdict {manner}" role="status"><strong>{headline}</strong> '
        f"(policy <code>{decision['policy']}</code>; there is no champion yet)"
        f"<ul>{reasons}</ul></div>"
    )
    files.write_text(folder / CARD_PAGE, page.replace("<main>\n", f"<main>\n{banner}\n", 1))
