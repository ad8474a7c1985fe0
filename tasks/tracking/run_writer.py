"""Writing one MLflow run for each (stage, stage hash)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.tracking.store import artifact_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

# MLflow's limits on one call.
METRICS_AT_ONCE = 1000
PARAMS_AT_ONCE = 100


def write_run(client: MlflowClient, record: Mapping[str, Any], attached: Path) -> str:
    """Write a run, or finish one that was begun; a finished run is left as it is.

    Args:
        client: the open store.
        record: ``experiment``, ``name``, ``identity`` (tags that no other run shares), ``tags``,
            ``params`` and ``metrics``, both flat.
        attached: the folder of its artifacts.

    Returns:
        The run's id.
    """
    run_id, is_finished = find_or_create_run(client, record)
    if not is_finished:
        fill(client, run_id, record["params"], record["metrics"])
        for path in sorted(attached.iterdir()) if attached.is_dir() else []:
            client.log_artifact(run_id, str(path))
        client.set_terminated(run_id)
    return run_id


def find_or_create_run(client: MlflowClient, record: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the id of the run with the record's identity, and whether it is finished."""
    experiment_id = experiment(client, record["experiment"])
    same = " and ".join(f"tags.`{key}` = '{value}'" for key, value in record["identity"].items())
    found = client.search_runs([experiment_id], same, max_results=1)
    if found:
        return found[0].info.run_id, found[0].info.status == "FINISHED"
    tags = {**record["tags"], **record["identity"]}
    run = client.create_run(experiment_id, tags=tags, run_name=record["name"])
    return run.info.run_id, False


def fill(
    client: MlflowClient,
    run_id: str,
    params: Mapping[str, str],
    metrics: Sequence[tuple[str, float, int]],
) -> None:
    """Log parameters, and metrics as (name, value, step)."""
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    points = [Metric(name, value, now, step) for name, value, step in metrics]
    texts = [Param(name, value) for name, value in params.items()]
    for start in range(0, len(points), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=points[start : start + METRICS_AT_ONCE])
    for start in range(0, len(texts), PARAMS_AT_ONCE):
        client.log_batch(run_id, params=texts[start : start + PARAMS_AT_ONCE])


def experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, created or restored where needed."""
    found = client.get_experiment_by_name(name)
    if found is None:
        folder = artifact_folder()
        place = (folder / name).as_uri() if folder else None
        return str(client.create_experiment(name, artifact_location=place))
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)
