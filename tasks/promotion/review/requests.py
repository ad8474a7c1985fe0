"""Asking for a review: it is made, or found if it was made before.

Of two machines that compare the same versions at once, one's review holds, and the run of the other
is removed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.contracts.params import ON_CHANGED_PINS, on_changed_pins, read_params
from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.exports import keep
from tasks.promotion.review.report import COMPARISON, REPORT, Summary, write_report
from tasks.promotion.review.store import Review, find
from tasks.promotion.review.subject import Subject, subject_of
from tasks.promotion.versions import FetchedVersion, fetch
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION, settle
from tasks.tracking.audit.log import AuditLog, read_log
from tasks.tracking.audit.writer import claim
from tasks.tracking.registry.bindings import PINS
from tasks.tracking.registry.version import SERVED_FILES, RegisteredVersion, read_version
from tasks.tracking.runs.run_writer import ensure_experiment, log_metrics, metrics_of
from tasks.tracking.store import opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

CANDIDATE_PINS = "candidate/pins"
"""The key of the evidence with the pins that a candidate was made from."""


def request(model: str) -> Review:
    """Return the review of a model's candidate; it is made if there is none yet.

    Raises:
        NothingToReview: there is no candidate, or it is the champion already.
        BadInput: a file of a version is not the one that was registered.
        Unreachable: the store is away.
    """
    with tempfile.TemporaryDirectory(prefix="downstream-review-") as temporary:
        folder = Path(temporary)
        with opened() as client:
            log = settle(client, model)
            subject = subject_of(log)
            review = find(log, subject)
            if review:
                return review
            versions = {
                who: fetch(client, read_version(client, model, number), folder)
                for who, number in ((CANDIDATE, subject.candidate), (CHAMPION, subject.champion))
                if number is not None
            }
            doubts = _doubts(log, subject, versions)
        # Comparing takes a while, and other processes of this workspace need the store.
        report = folder / "report"
        summary = write_report(subject, versions[CANDIDATE], versions.get(CHAMPION), doubts, report)
        with opened() as client:
            return _record(client, subject, versions, report, summary)


def _doubts(log: AuditLog, subject: Subject, versions: Mapping[str, FetchedVersion]) -> list[str]:
    """Say why no policy promotes a candidate by itself, a sentence each."""
    doubts, name = [], versions[CANDIDATE].name
    if was_champion(log, subject.candidate):
        doubts.append(f"{name} was champion before: a person decides whether it returns")
    if CHAMPION in versions and on_changed_pins(read_params(), subject.model) == "ask":
        rows = changed_pins(log, versions[CANDIDATE].version, versions[CHAMPION].version)
        if rows:
            doubts.append(
                f"remote sources have changed since {versions[CHAMPION].name} became champion "
                f"(data/sources of {', '.join(rows)}): a person decides on new data, unless "
                f"models.{subject.model}.{ON_CHANGED_PINS} in params.yaml is promote"
            )
    return doubts


def changed_pins(
    log: AuditLog, candidate: RegisteredVersion, champion: RegisteredVersion
) -> list[str]:
    """Return the rows with a ``pin.json`` whose sources were others when the champion was made one.

    That is as the decision on it has recorded it, or else as its version says; what neither knows
    counts as changed.

    Args:
        log: the audit log of the model.
        candidate: the version that may take the champion's place.
        champion: the one that serves today.
    """
    decided = (
        entry["evidence"][CANDIDATE_PINS]
        for entry in reversed(log.entries)
        if (entry["alias"], entry["version_to"]) == (CHAMPION, champion.number)
        and CANDIDATE_PINS in entry["evidence"]
    )
    then = _pins(next(decided, champion.tags.get(PINS)))
    now = _pins(candidate.tags.get(PINS))
    return [row for row, sources in now.items() if sources is None or then.get(row) != sources]


def _pins(text: str | None) -> dict[str, Any]:
    try:
        pins = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return pins if isinstance(pins, dict) else {}


def was_champion(log: AuditLog, version: int) -> bool:
    """Tell whether a version was champion before."""
    return any(
        entry["alias"] == CHAMPION and entry["version_from"] == version for entry in log.entries
    )


def _record(
    client: MlflowClient,
    subject: Subject,
    versions: Mapping[str, FetchedVersion],
    report: Path,
    summary: Summary,
) -> Review:
    experiment_id = ensure_experiment(client, subject.model)
    tags = {
        "downstream.stage": "review",
        "downstream.row": subject.model,
        "downstream.review": subject.review_id,
        "downstream.review_candidate": str(subject.candidate),
        "downstream.review_champion": str(subject.champion or ""),
    }
    run = client.create_run(experiment_id, tags=tags, run_name=f"review@{subject.model}")
    run_id = run.info.run_id
    client.log_artifacts(run_id, str(report), REPORT)
    log_metrics(client, run_id, metrics_of(_metrics(report, summary)))
    client.set_terminated(run_id)
    for one in summary.get("exported", ()):
        keep(client, versions[CANDIDATE].version, one)
    intent = {
        "subject": asdict(subject),
        "run_id": run_id,
        "experiment_id": experiment_id,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "policy_says": summary["decision"]["decision"],
        "evidence": _hashes(versions, report),
    }
    held = claim(client, subject.model, f"review.{subject.review_id}", intent)
    if held["run_id"] != run_id:
        client.delete_run(run_id)
    review = find(read_log(client, subject.model), subject)
    if review is None:
        raise AssertionError("a claim that was made is there")
    return review


def _metrics(report: Path, summary: Summary) -> dict[str, Any]:
    """Return the numbers that MLflow's table of runs shows."""
    shown: dict[str, Any] = {"candidate": dict(summary["serving"])}
    kept = ("value", "better_by", "same_answers", "size_bytes", "milliseconds")
    for one in summary.get("exported", ()):
        shown[f"exported_{one['precision']}"] = {name: one[name] for name in kept}
    path = report / COMPARISON
    if path.exists():
        comparison: Comparison = files.read_json(path)
        shown["champion"] = dict(comparison["serving"]["champion"] or {})
        found = comparison["decides" if "decides" in comparison else "disagreement"]
        shown["p_value"] = found["p_value"]
        for metric in comparison["metrics"]:
            for who in ("candidate", "champion", "difference"):
                shown.setdefault(who, {})[metric["name"]] = metric[who]
    return shown


def _hashes(versions: Mapping[str, FetchedVersion], report: Path) -> dict[str, str]:
    hashes = {}
    for who, fetched in versions.items():
        hashes[f"{who}/weights"] = fetched.version.weights_sha256
        hashes[f"{who}/model"] = files.sha256_of_folder(fetched.model)
        served = fetched.version.tags.get(SERVED_FILES)
        if served is not None:
            hashes[f"{who}/served"] = files.sha256_of_text(served)
    pins = versions[CANDIDATE].version.tags.get(PINS)
    if pins is not None:
        hashes[CANDIDATE_PINS] = pins
    reported = {f"{REPORT}/{path.name}": files.sha256(path) for path in sorted(report.iterdir())}
    return {**hashes, **reported}
