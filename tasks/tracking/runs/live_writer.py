"""Sending a journal to MLflow: each line once, in order, however often it is tried.

A figure has the time at which it was written down, and MLflow keeps one figure of a name, step,
time and value once. So it does no harm to send lines again of which nobody knows whether they
arrived.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.tracking.runs import journal
from tasks.tracking.runs.run_writer import describe, find_or_create_run, log_points

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

LINES_AT_ONCE = 200


def send(client: MlflowClient, folder: Path) -> None:
    """Send the lines of a journal that MLflow does not have; a finished run is left as it is.

    Args:
        client: the open store.
        folder: the journal; its training may be running.
    """
    about = files.read_json(folder / "run.json")
    run_id, is_finished = find_or_create_run(client, about)
    sent = _sent(folder)
    if sent.get("run_id") != run_id:
        describe(client, run_id, about)
        sent = {"run_id": run_id, "offset": 0, "known": _steps_there(client, run_id)}
    while not is_finished:
        some = _next_lines(folder, sent["offset"])
        if not some:
            break
        _write(client, run_id, [line for line, _ in some], sent["known"])
        sent["offset"] = some[-1][1]
        files.write_json(folder / "sent.json", sent)


def is_complete(folder: Path) -> bool:
    """Tell whether MLflow has all that stands in a journal."""
    return not _next_lines(folder, _sent(folder).get("offset", 0))


def _sent(folder: Path) -> dict[str, Any]:
    path = folder / "sent.json"
    found: dict[str, Any] = files.read_json(path) if path.exists() else {}
    return found


def _next_lines(folder: Path, offset: int) -> list[tuple[dict[str, Any], int]]:
    found = []
    for line in journal.lines(folder, offset):
        found.append(line)
        if len(found) == LINES_AT_ONCE:
            break
    return found


def _steps_there(client: MlflowClient, run_id: str) -> dict[str, int]:
    """Return the last step of each figure of a run that another workspace has begun.

    It was killed there; what is computed again here is the same.
    """
    keys = client.get_run(run_id).data.metrics
    return {key: max(p.step for p in client.get_metric_history(run_id, key)) for key in keys}


def _write(
    client: MlflowClient, run_id: str, some: list[dict[str, Any]], known: dict[str, int]
) -> None:
    points: list[Metric] = []
    for line in some:
        if "figures" in line:
            points += _points(line, known)
        if "status" in line:
            log_points(client, run_id, points)
            points = []
            _set_status(client, run_id, line)
    log_points(client, run_id, points)


def _points(line: dict[str, Any], known: dict[str, int]) -> list[Metric]:
    from mlflow.entities import Metric

    at, step = line["at"], line["step"]
    return [
        Metric(name, value, at, step)
        for name, value in line["figures"].items()
        if step > known.get(name, -1)
    ]


def _set_status(client: MlflowClient, run_id: str, line: dict[str, Any]) -> None:
    if line["status"] == journal.RUNNING:
        client.update_run(run_id, status=journal.RUNNING)
    elif line["status"] != journal.ENDED:  # a record with the rest is on its way
        client.set_terminated(run_id, line["status"], end_time=line["at"])
