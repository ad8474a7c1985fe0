"""Writing one MLflow run for each (stage, stage hash), from flat metrics and texts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.tracking.store import artifact_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# MLflow's limits on one call.
METRICS_AT_ONCE = 1000
PARAMS_AT_ONCE = 100
LONGEST_TEXT = 5000
"""Characters of a parameter; what is longer is cut."""


def write_run(client: MlflowClient, record: Mapping[str, Any], attached: Path) -> str:
    """Write a run, or finish one that was begun; a finished run is left as it is.

    Args:
        client: the open store.
        record: ``experiment``, ``name``, ``identity`` (tags that no other run shares), ``tags``,
            ``params`` and ``metrics``, both flat; perhaps ``data``, and ``ended``, the time in
            milliseconds, which keeps metrics that are written twice from being there twice.
        attached: the folder of its artifacts.

    Returns:
        The run's id.
    """
    run_id, is_finished = find_or_create_run(client, record)
    if not is_finished:
        ended = record.get("ended")
        describe(client, run_id, record)
        fill(client, run_id, {}, record["metrics"], ended)
        for path in sorted(attached.iterdir()) if attached.is_dir() else []:
            client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, end_time=ended)
    return run_id


def find_or_create_run(client: MlflowClient, record: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the id of the run with the record's identity, and whether it is finished."""
    experiment_id = experiment(client, record["experiment"])
    found = _find(client, experiment_id, record["identity"])
    if found is not None:
        return found.info.run_id, found.info.status == "FINISHED"
    tags = {**record["tags"], **record["identity"]}
    run = client.create_run(
        experiment_id, record.get("started"), tags=tags, run_name=record["name"]
    )
    return run.info.run_id, False


def has_run(client: MlflowClient, experiment_name: str, identity: Mapping[str, str]) -> bool:
    """Tell whether a run with an identity is there, finished or not."""
    found = client.get_experiment_by_name(experiment_name)
    return found is not None and _find(client, found.experiment_id, identity) is not None


def _find(client: MlflowClient, experiment_id: str, identity: Mapping[str, str]) -> Any:
    same = " and ".join(f"tags.`{key}` = '{value}'" for key, value in identity.items())
    # Where two machines have made one each, all take the same.
    order = ["attributes.start_time ASC", "attributes.run_id ASC"]
    found = client.search_runs([experiment_id], same, max_results=1, order_by=order)
    return found[0] if found else None


def describe(client: MlflowClient, run_id: str, record: Mapping[str, Any]) -> None:
    """Log what is known of a run from its beginning: its parameters and its data."""
    fill(client, run_id, record["params"], [])
    if record.get("data"):
        client.log_inputs(run_id, datasets=[_dataset(entry) for entry in record["data"]])


def _dataset(entry: Mapping[str, Any]) -> Any:
    """Return a file as MLflow's pages show data: with DVC's hash, and where it lies."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=entry["path"],
        digest=entry["md5"],
        source_type="local",
        source=json.dumps({"uri": entry["path"]}),
        profile=json.dumps({"num_rows": entry["rows"]}) if "rows" in entry else None,
    )
    context = {"mlflow.data.context": entry["context"], "downstream.dvc_md5": entry["md5"]}
    return DatasetInput(dataset, tags=[InputTag(key, value) for key, value in context.items()])


def fill(
    client: MlflowClient,
    run_id: str,
    params: Mapping[str, str],
    metrics: Sequence[tuple[str, float, int]],
    timestamp: int | None = None,
) -> None:
    """Log parameters, and metrics as (name, value, step), at a time in milliseconds."""
    from mlflow.entities import Metric, Param

    at = timestamp or int(time.time() * 1000)
    points = [Metric(name, value, at, step) for name, value, step in metrics]
    texts = [Param(name, value) for name, value in params.items()]
    log_points(client, run_id, points)
    for start in range(0, len(texts), PARAMS_AT_ONCE):
        client.log_batch(run_id, params=texts[start : start + PARAMS_AT_ONCE])


def log_points(client: MlflowClient, run_id: str, points: Sequence[Metric]) -> None:
    """Log metrics, as many at once as MLflow takes."""
    for start in range(0, len(points), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=points[start : start + METRICS_AT_ONCE])


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


def metrics_of(values: Mapping[str, Any]) -> list[tuple[str, float, int]]:
    """Return (name, value, step) of every number, nested names joined by dots.

    Of an interval, ``[low, high]`` under ``intervals``, come ``….low`` and ``….high``. Any other
    list of numbers is a curve, one value a step. What is no finite number is left out.
    """
    found = []
    for path, value in _leaves(values):
        if isinstance(value, (list, tuple)):
            is_interval = path[0] == "intervals" and len(value) == 2
            for step, item in enumerate(value):
                name = [*path, "low" if step == 0 else "high"] if is_interval else path
                found.append((".".join(name), item, 0 if is_interval else step))
        else:
            found.append((".".join(path), value, 0))
    return [(name, float(value), step) for name, value, step in found if _is_number(value)]


def texts_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return every value as text, nested names joined by dots."""
    return {".".join(path): str(value)[:LONGEST_TEXT] for path, value in _leaves(values)}


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            for path, leaf in _leaves(value):
                yield [str(key), *path], leaf
        else:
            yield [str(key)], value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
