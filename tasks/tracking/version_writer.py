"""Writing one version of a registered model for each content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tasks.contracts import files
from tasks.tracking.packaging import log_model
from tasks.tracking.run_writer import fill, find_or_create_run

if TYPE_CHECKING:
    from mlflow import MlflowClient

CANDIDATE = "candidate"
CONTENT_HASH = "downstream.content_hash"
GATE = "downstream.gate"
GATE_MISSED = "downstream.gate_missed"
WEIGHTS_HASH = "downstream.weights_sha256"
LONGEST_DESCRIPTION = 4900


def write_version(client: MlflowClient, record: Mapping[str, Any], attached: Path) -> int:
    """Write a version, unless there is one of that content, and move the alias ``candidate``.

    A version that misses a gate is written, tagged so, and does not become the candidate.

    Args:
        client: the open store.
        record: ``model``, ``content_hash``, ``passed``, ``missed``, ``metrics`` and ``tags``.
        attached: a folder with ``model/``, ``README.md`` and ``plots/``.

    Returns:
        The version's number.
    """
    name, content_hash = record["model"], record["content_hash"]
    number = find_version(client, name, content_hash)
    if number is None:
        number = _create(client, record, attached)
    client.set_model_version_tag(
        name, str(number), GATE, "passed" if record["passed"] else "missed"
    )
    client.set_model_version_tag(name, str(number), GATE_MISSED, "; ".join(record["missed"]))
    if record["passed"]:
        set_candidate(client, name, number)
    return number


def set_candidate(client: MlflowClient, model: str, number: int) -> None:
    """Put the alias ``candidate`` on a version, if it is not there already."""
    if candidate_of(client, model) != number:
        client.set_registered_model_alias(model, CANDIDATE, str(number))


def candidate_of(client: MlflowClient, model: str) -> int | None:
    """Return the version that has the alias ``candidate``."""
    found = client.search_registered_models(f"name = '{model}'")
    number = found[0].aliases.get(CANDIDATE) if found else None
    return int(number) if number else None


def find_version(client: MlflowClient, model: str, content_hash: str) -> int | None:
    """Return the newest version of a content whose files are still there."""
    versions = client.search_model_versions(f"name = '{model}'")
    numbers = [
        int(version.version)
        for version in versions
        if version.tags.get(CONTENT_HASH) == content_hash
        and _has_files(client, model, version.version)
    ]
    return max(numbers, default=None)


def _has_files(client: MlflowClient, model: str, number: str) -> bool:
    place = urlsplit(client.get_model_version_download_uri(model, number))
    return place.scheme not in ("", "file") or Path(unquote(place.path)).exists()


def _create(client: MlflowClient, record: Mapping[str, Any], attached: Path) -> int:
    from mlflow.exceptions import MlflowException

    name, content_hash = record["model"], record["content_hash"]
    run_id, _ = find_or_create_run(
        client,
        {
            "experiment": name,
            "name": f"register@{name}",
            "identity": {"downstream.stage": "register", CONTENT_HASH: content_hash},
            "tags": {"downstream.row": name, **record["tags"]},
        },
    )
    fill(client, run_id, {}, record["metrics"])
    for evidence in ("README.md", "plots"):
        if (attached / evidence).exists():
            client.log_artifact(run_id, str(attached / evidence), "evaluation")
    model_id = log_model(attached / "model", run_id)
    client.set_terminated(run_id)
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        name,
        source=f"models:/{model_id}",
        run_id=run_id,
        model_id=model_id,
        tags=_tags(record, attached / "model"),
        description=_description(attached / "README.md"),
    )
    return int(created.version)


def _tags(record: Mapping[str, Any], model: Path) -> dict[str, str]:
    tags = {**record["tags"], CONTENT_HASH: record["content_hash"]}
    weights = model / "model.safetensors"
    if weights.exists():
        tags[WEIGHTS_HASH] = files.sha256(weights)
    return tags


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
