"""Events for Prefect automations: a candidate was registered, a gate failed.

What a run has changed is seen by comparing verdicts before and after it, so that a result that DVC
restored counts as much as one that was made here, and a run without news sends nothing.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks.contracts import files, paths
from tasks.errors import Unreachable
from tasks.progress import say

CANDIDATE_REGISTERED = "downstream.candidate.registered"
GATE_FAILED = "downstream.gate.failed"
# Events of one name, resource and content within one flow run are one event.
NAMESPACE = uuid.UUID("6f1f1c0e-3c55-4d0c-9b0f-6a1f6c9a5d0e")


@dataclass(frozen=True)
class Verdict:
    """What a gate has said of one row."""

    kind: Literal["model", "corpus"]
    row: str
    passed: bool
    stamp: str
    """What tells it from an earlier verdict on the same row."""
    content: Mapping[str, Any]


Verdicts = dict[str, Verdict]


def verdicts() -> Verdicts:
    """Return the verdicts that lie in the workspace, by resource id."""
    models = [_of_model(path) for path in sorted(paths.DATA.glob("register/*/version.json"))]
    corpora = [_of_corpus(path) for path in sorted(paths.STATE.glob("validate/*/result.json"))]
    return {_resource_id(verdict): verdict for verdict in [*models, *corpora]}


def announce(before: Verdicts, flow_run_id: str) -> list[str]:
    """Send one event for each verdict that is new; a server that is away costs no result.

    Args:
        before: the verdicts before the run.
        flow_run_id: the flow run that made the new ones.

    Returns:
        The names of the events.
    """
    from prefect.events import emit_event

    new = [
        verdict
        for name, verdict in verdicts().items()
        if name not in before or before[name].stamp != verdict.stamp
    ]
    news = [verdict for verdict in new if verdict.kind == "model" or not verdict.passed]
    versions = _versions([verdict for verdict in news if verdict.kind == "model"])
    events = [_event(verdict, versions.get(verdict.row), flow_run_id) for verdict in news]
    for event in events:
        emit_event(**event)
    return [event["event"] for event in events]


def _of_model(path: Path) -> Verdict:
    version = files.read_json(path)
    gates = version["gates"]
    metrics_file = paths.metrics(version["model"])
    metrics = files.read_json(metrics_file) if metrics_file.exists() else {}
    content = {
        "model": version["model"],
        "content_hash": version["content_hash"],
        "missed": gates["missed"],
        # Its single numbers; curves and intervals are in the file.
        "metrics": {
            key: number for key, number in metrics.items() if isinstance(number, int | float)
        },
    }
    return Verdict("model", path.parent.name, gates["passed"], files.sha256(path), content)


def _of_corpus(path: Path) -> Verdict:
    """Read the evidence that ``validate`` keeps when it fails."""
    result = files.read_json(path)
    failed = [check for check in result["expectations"] if not check["passed"]]
    content = {"corpus": path.parent.name, "missed": failed, "evidence": str(path)}
    stamp = str(path.stat().st_mtime_ns)
    return Verdict("corpus", path.parent.name, result["passed"], stamp, content)


def _versions(models: list[Verdict]) -> dict[str, int | None]:
    """Return the registry's version of each model's content."""
    if not models:
        return {}
    from tasks.tracking.registry.version_writer import find_version
    from tasks.tracking.store import opened

    try:
        with opened() as client:
            versions = {
                verdict.row: find_version(client, verdict.row, verdict.content["content_hash"])
                for verdict in models
            }
            return {
                model: version.number if version is not None else None
                for model, version in versions.items()
            }
    except Unreachable as error:
        say(f"warning: {error}. The events name no version")
        return {}


def _event(verdict: Verdict, version: int | None, flow_run_id: str) -> dict[str, Any]:
    name = CANDIDATE_REGISTERED if verdict.passed else GATE_FAILED
    resource = _resource_id(verdict)
    payload = dict(verdict.content)
    if verdict.kind == "model":
        payload["version"] = version
    return {
        "event": name,
        "resource": {"prefect.resource.id": resource, "prefect.resource.name": verdict.row},
        "payload": payload,
        "id": uuid.uuid5(NAMESPACE, "/".join([flow_run_id, name, resource, verdict.stamp])),
    }


def _resource_id(verdict: Verdict) -> str:
    return f"downstream.{verdict.kind}.{verdict.row}"
