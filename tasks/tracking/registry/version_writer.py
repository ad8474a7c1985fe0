"""Writing one version of a registered model for each content, bound to what it was made from."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict
from urllib.parse import unquote, urlsplit

from tasks.contracts import files
from tasks.tracking.audit.aliases import CANDIDATE, move
from tasks.tracking.audit.writer import Change
from tasks.tracking.registry.bindings import TEST_SPLIT, bindings
from tasks.tracking.registry.packaging import log_model
from tasks.tracking.registry.version import (
    CARD,
    CONTENT_HASH,
    EVIDENCE,
    EVIDENCE_FILES,
    EVIDENCE_HASH,
    EVIDENCE_RUN,
    GATE,
    GATE_MISSED,
    METRICS,
    METRICS_HASH,
    MODEL,
    MODEL_FILES,
    PREDICTIONS,
    PREDICTIONS_HASH,
    REVIEW,
    SERVED_FILES,
    UNCOMMITTED,
    WEIGHTS,
    WEIGHTS_HASH,
    RegisteredVersion,
    folded,
    read_version,
    served_sums,
    versions_of,
)
from tasks.tracking.runs.run_writer import (
    Metrics,
    RunDescription,
    find_or_create_run,
    log_metrics,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORDED = (CONTENT_HASH, WEIGHTS_HASH, PREDICTIONS_HASH, METRICS_HASH, TEST_SPLIT)
"""What the audit log says of a new candidate."""
LONGEST_DESCRIPTION = 4900
NOT_REVIEWED, EARLIER_REVIEW = "not reviewed", "downstream.review"


class VersionRecord(TypedDict):
    """What a version is written from, as JSON can keep it."""

    model: str
    content_hash: str
    passed: bool
    missed: list[str]
    """The gates, a sentence each."""
    metrics: Metrics
    tags: Mapping[str, str]
    """What made it."""
    model_files: Mapping[str, str]
    """The sha256 of each file, by name; so of the evidence."""
    evidence_files: Mapping[str, str]
    bindings: Mapping[str, str]
    """Tags that hold for as long as the evidence does."""
    summary: NotRequired[Mapping[str, str]]
    """Tags that a reviewer reads; a record of an earlier version that waits has none."""


def write_version(client: MlflowClient, record: VersionRecord, attached: Path) -> int:
    """Write a version, unless there is one of that content, and move the alias ``candidate``.

    A version that misses a gate is written, tagged so, and does not become the candidate.

    Args:
        client: the open store.
        record: what is written.
        attached: a folder with ``model/``, the evidence, and what was not committed.

    Returns:
        The version's number.
    """
    version = find_version(client, record["model"], record["content_hash"])
    run_id = _write_evidence(client, record, attached, is_new=version is None)
    if version is None:
        version = _create(client, record, attached, run_id)
    client.set_terminated(run_id)
    tags = {**record.get("summary", {}), **_bound(record), EVIDENCE_RUN: run_id}
    version = _renew(client, version, tags, _description(attached / CARD))
    if record["passed"]:
        set_candidate(client, version)
    return version.number


def set_candidate(client: MlflowClient, version: RegisteredVersion) -> None:
    """Put the alias ``candidate`` on a version, if it is not there already; it is on record."""
    evidence = {
        tag.removeprefix("downstream."): version.tags[tag]
        for tag in RECORDED
        if tag in version.tags
    }
    reason = "the model in the workspace, which passes its gates"
    change = Change("register", CANDIDATE, None, version.number, reason, evidence)
    move(client, version.model, change)


def find_version(client: MlflowClient, model: str, content_hash: str) -> RegisteredVersion | None:
    """Return the newest version of a content whose files are still there.

    Args:
        client: the open store.
        model: the registered model.
        content_hash: the sha256 of the model's folder.
    """
    for version in reversed(versions_of(client, model)):
        if version.content_hash == content_hash:
            uri = urlsplit(client.get_model_version_download_uri(model, str(version.number)))
            if uri.scheme not in ("", "file") or Path(unquote(uri.path)).exists():
                return version
    return None


def carries(
    version: RegisteredVersion, evidence_files: Mapping[str, str], passed: bool, missed: list[str]
) -> bool:
    """Tell whether a version has this evidence and verdict, and what ``dvc.lock`` binds it to.

    Args:
        version: as the registry has it.
        evidence_files: the sha256 of each file of the evidence.
        passed: whether the model passes its gates.
        missed: the gates that it misses, a sentence each.
    """
    verdict = {"passed": passed, "missed": missed}
    wanted = _bound(
        {"evidence_files": evidence_files, "bindings": bindings(version.model), **verdict}
    )
    return all(version.tags.get(key) == value for key, value in wanted.items())


def _write_evidence(
    client: MlflowClient, record: VersionRecord, attached: Path, *, is_new: bool
) -> str:
    """Return the run that holds the evidence, written unless it was."""
    name = record["model"]
    run: RunDescription = {
        "experiment": name,
        "name": f"register@{name}",
        "identity": {
            "downstream.stage": "register",
            CONTENT_HASH: record["content_hash"],
            EVIDENCE_HASH: files.sha256_of_text(_json(record["evidence_files"])),
        },
        "tags": {"downstream.row": name, **record["tags"]},
        "params": {},
    }
    run_id, is_finished = find_or_create_run(client, run)
    if not is_finished:
        log_metrics(client, run_id, record["metrics"])
    if is_new or not is_finished:
        for path in sorted(attached.iterdir()):
            if path.name == UNCOMMITTED:
                client.log_artifact(run_id, str(path))
            elif path.name != MODEL:
                client.log_artifact(run_id, str(path), EVIDENCE)
    return run_id


def _create(
    client: MlflowClient, record: VersionRecord, attached: Path, run_id: str
) -> RegisteredVersion:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    name = record["model"]
    model_id = log_model(attached / MODEL, run_id)
    try:
        client.create_registered_model(name)
    except MlflowException:
        if not client.search_registered_models(f"name = '{name}'"):
            raise
    model_files = record["model_files"]
    with tempfile.TemporaryDirectory() as temporary:
        logged = download_artifacts(
            artifact_uri=f"models:/{model_id}",
            dst_path=temporary,
            tracking_uri=client.tracking_uri,
        )
        served = served_sums(Path(logged))
    never_change = {
        SERVED_FILES: _json(served),
        CONTENT_HASH: record["content_hash"],
        MODEL_FILES: _json(model_files),
    }
    if WEIGHTS in model_files:
        never_change[WEIGHTS_HASH] = model_files[WEIGHTS]
    created = client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        tags=folded(
            {
                REVIEW: NOT_REVIEWED,
                **record.get("summary", {}),
                **record["tags"],
                **never_change,
                **_bound(record),
                EVIDENCE_RUN: run_id,
            }
        ),
        description=_description(attached / CARD),
    )
    return read_version(client, name, int(created.version))


def _renew(
    client: MlflowClient, version: RegisteredVersion, tags: Mapping[str, str], description: str
) -> RegisteredVersion:
    """Set what the evidence of a version has changed; return the version as it is then."""
    wanted, number = folded({**version.tags, **tags}), str(version.number)
    known = client.get_model_version(version.model, number).tags
    if REVIEW in known:  # it is the reviewer's
        del wanted[REVIEW]
    else:
        wanted[REVIEW] = known.get(EARLIER_REVIEW, NOT_REVIEWED)
    for key, value in wanted.items():
        if known.get(key) != value:
            client.set_model_version_tag(version.model, number, key, value)
    # An earlier version of this project wrote each of them on its own.
    for key in (version.tags.keys() & known.keys()) - wanted.keys() - {REVIEW}:
        client.delete_model_version_tag(version.model, number, key)
    if version.description != description:
        client.update_model_version(version.model, str(version.number), description)
    return replace(version, tags={**version.tags, **tags}, description=description)


def _bound(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that change where the same model is evaluated again."""
    evidence_files = record["evidence_files"]
    tags = {
        EVIDENCE_FILES: _json(evidence_files),
        GATE: "passed" if record["passed"] else "missed",
        GATE_MISSED: "; ".join(record["missed"]),
        **record["bindings"],
    }
    for tag, name in ((PREDICTIONS_HASH, PREDICTIONS), (METRICS_HASH, METRICS)):
        if name in evidence_files:
            tags[tag] = evidence_files[name]
    return tags


def _json(sums: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(sums.items())))


def _description(card: Path) -> str:
    """Return the card's beginning: what fits, whole sections, up to the first plot.

    The section before the first heading is cut at its plot: it says what the model reaches.
    """
    if not card.exists():
        return ""
    kept = ""
    for number, section in enumerate(card.read_text(encoding="utf-8").split("\n## ")):
        longer = section if number == 0 else f"{kept}\n## {section}"
        if number == 0 and "![" in section:
            return section.partition("![")[0].rstrip()[:LONGEST_DESCRIPTION]
        if "![" in section or len(longer) > LONGEST_DESCRIPTION:
            break
        kept = longer
    return kept


def attach(
    client: MlflowClient, version: RegisteredVersion, name: str, values: Mapping[str, Any]
) -> None:
    """Keep what was found of a version later with its evidence, as JSON.

    Args:
        client: the open store.
        version: which one.
        name: the file among the artifacts of its evaluation's run; an earlier one is replaced.
        values: what was found.
    """
    client.log_dict(version.evidence_run, dict(values), name)
