"""Writing one version of a registered model for each content, bound to what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
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
    UNCOMMITTED,
    WEIGHTS,
    WEIGHTS_HASH,
    read_version,
    versions_of,
)
from tasks.tracking.runs.run_writer import fill, find_or_create_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

RECORDED = (CONTENT_HASH, WEIGHTS_HASH, PREDICTIONS_HASH, METRICS_HASH, TEST_SPLIT)
"""What the audit log says of a new candidate."""
LONGEST_DESCRIPTION = 4900


def write_version(client: MlflowClient, record: Mapping[str, Any], attached: Path) -> int:
    """Write a version, unless there is one of that content, and move the alias ``candidate``.

    A version that misses a gate is written, tagged so, and does not become the candidate.

    Args:
        client: the open store.
        record: ``model``, ``content_hash``, ``passed``, ``missed``, ``metrics``, ``tags`` (what
            made it), ``model_files`` and ``evidence_files`` (sha256 by name), and ``bindings``
            (tags that hold for as long as the evidence does).
        attached: a folder with ``model/``, the evidence, and what was not committed.

    Returns:
        The version's number.
    """
    name = record["model"]
    number = find_version(client, name, record["content_hash"])
    run_id = _write_evidence(client, record, attached, is_new=number is None)
    if number is None:
        number = _create(client, record, attached, run_id)
    client.set_terminated(run_id)
    _renew(client, name, number, {**_bound(record), EVIDENCE_RUN: run_id}, attached / CARD)
    if record["passed"]:
        set_candidate(client, name, number)
    return number


def set_candidate(client: MlflowClient, model: str, number: int) -> None:
    """Put the alias ``candidate`` on a version, if it is not there already; it is on record.

    Args:
        client: the open store.
        model: the registered model.
        number: the version's number.
    """
    tags = read_version(client, model, number).tags
    evidence = {tag.removeprefix("downstream."): tags[tag] for tag in RECORDED if tag in tags}
    reason = "the model in the workspace, which passes its gates"
    change = Change("register", CANDIDATE, version_to=number, reason=reason, evidence=evidence)
    move(client, model, change)


def find_version(client: MlflowClient, model: str, content_hash: str) -> int | None:
    """Return the newest version of a content whose files are still there."""
    for version in reversed(versions_of(client, model)):
        if version.content_hash == content_hash:
            uri = urlsplit(client.get_model_version_download_uri(model, str(version.number)))
            if uri.scheme not in ("", "file") or Path(unquote(uri.path)).exists():
                return version.number
    return None


def carries(
    client: MlflowClient,
    model: str,
    number: int,
    evidence_files: Mapping[str, str],
    gates: Mapping[str, Any],
) -> bool:
    """Tell whether a version has this evidence and verdict, and what ``dvc.lock`` binds it to.

    Args:
        client: the open store.
        model: the registered model.
        number: the version's number.
        evidence_files: the sha256 of each file of the evidence.
        gates: ``passed`` and ``missed``, as ``version.json`` has them.
    """
    now = read_version(client, model, number).tags
    wanted = _bound({"evidence_files": evidence_files, "bindings": bindings(model), **gates})
    return all(now.get(key) == value for key, value in wanted.items())


def _write_evidence(
    client: MlflowClient, record: Mapping[str, Any], attached: Path, *, is_new: bool
) -> str:
    """Return the run that holds the evidence, written unless it was."""
    name = record["model"]
    identity = {
        "downstream.stage": "register",
        CONTENT_HASH: record["content_hash"],
        EVIDENCE_HASH: files.sha256_of_text(_json(record["evidence_files"])),
    }
    run = {
        "experiment": name,
        "name": f"register@{name}",
        "identity": identity,
        "tags": {"downstream.row": name, **record["tags"]},
    }
    run_id, is_finished = find_or_create_run(client, run)
    if not is_finished:
        fill(client, run_id, {}, record["metrics"])
    if is_new or not is_finished:
        for path in sorted(attached.iterdir()):
            if path.name == UNCOMMITTED:
                client.log_artifact(run_id, str(path))
            elif path.name != MODEL:
                client.log_artifact(run_id, str(path), EVIDENCE)
    return run_id


def _create(client: MlflowClient, record: Mapping[str, Any], attached: Path, run_id: str) -> int:
    from mlflow.exceptions import MlflowException

    name = record["model"]
    model_id = log_model(attached / MODEL, run_id)
    try:
        client.create_registered_model(name)
    except MlflowException:
        if not client.search_registered_models(f"name = '{name}'"):
            raise
    created = client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        tags={**record["tags"], **_of_content(record), **_bound(record), EVIDENCE_RUN: run_id},
        description=_description(attached / CARD),
    )
    return int(created.version)


def _renew(
    client: MlflowClient, model: str, number: int, tags: Mapping[str, str], card: Path
) -> None:
    now = client.get_model_version(model, str(number))
    for key, value in tags.items():
        if now.tags.get(key) != value:
            client.set_model_version_tag(model, str(number), key, value)
    description = _description(card)
    if (now.description or "") != description:
        client.update_model_version(model, str(number), description)


def _of_content(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a version that never change."""
    model_files = record["model_files"]
    tags = {CONTENT_HASH: record["content_hash"], MODEL_FILES: _json(model_files)}
    if WEIGHTS in model_files:
        tags[WEIGHTS_HASH] = model_files[WEIGHTS]
    return tags


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
    """Return the card's beginning: what fits, whole sections, up to the first plot."""
    if not card.exists():
        return ""
    kept = ""
    for number, section in enumerate(card.read_text(encoding="utf-8").split("\n## ")):
        longer = section if number == 0 else f"{kept}\n## {section}"
        if "![" in section or len(longer) > LONGEST_DESCRIPTION:
            break
        kept = longer
    return kept
