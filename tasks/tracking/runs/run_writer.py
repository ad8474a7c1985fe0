"""Writing one MLflow run for each (stage, stage hash), from flat metrics and texts."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from tasks.tracking.store import artifact_location

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

# MLflow's limits on one call.
METRICS_AT_ONCE = 1000
PARAMS_AT_ONCE = 100
LONGEST_TEXT = 5000
"""Characters of a parameter; what is longer is cut."""


OLDEST_FIRST = ["attributes.start_time ASC", "attributes.run_id ASC"]
"""Where two machines have made a run each, all take the same."""
Metrics = Sequence[tuple[str, float, int]]
"""Name, value and step of each."""


class Data(TypedDict):
    """A file of records that a run has read."""

    path: str
    md5: str
    """DVC's hash of it."""
    context: str
    """For example ``train``."""
    rows: NotRequired[int]


class RunDescription(TypedDict):
    """What is known of a run from its beginning, as JSON can keep it."""

    experiment: str
    name: str
    identity: Mapping[str, str]
    """Tags that no other run shares."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    data: NotRequired[Sequence[Data]]
    started: NotRequired[int]
    """When, in milliseconds since 1970; so of the end."""


class RunRecord(RunDescription):
    """What is known of a run at its end."""

    metrics: Metrics
    ended: NotRequired[int]
    """It keeps metrics that are written twice from being there twice."""


def write_run(client: MlflowClient, record: RunRecord, attached: Path) -> str:
    """Write a run, or finish one that was begun; a finished run is left as it is.

    Args:
        client: the open store.
        record: what is written.
        attached: the folder of its artifacts.

    Returns:
        The run's id.
    """
    run_id, is_finished = find_or_create_run(client, record)
    if not is_finished:
        ended = record.get("ended")
        describe(client, run_id, record)
        log_metrics(client, run_id, record["metrics"], ended)
        for path in sorted(attached.iterdir()) if attached.is_dir() else []:
            client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, end_time=ended)
    return run_id


def identity_of(stage: str, stage_hash: str) -> dict[str, str]:
    """Return the tags that one run alone has."""
    return {"downstream.stage": stage, "downstream.stage_hash": stage_hash}


def filter_of(identity: Mapping[str, str]) -> str:
    """Return what MLflow is asked for a run with some tags."""
    return " and ".join(f"tags.`{key}` = '{value}'" for key, value in identity.items())


def find_or_create_run(client: MlflowClient, record: RunDescription) -> tuple[str, bool]:
    """Return the id of the run with the record's identity, and whether it is finished."""
    experiment_id = ensure_experiment(client, record["experiment"])
    run = _find(client, experiment_id, record["identity"])
    if run is not None:
        return run.info.run_id, run.info.status == "FINISHED"
    tags = {**record["tags"], **record["identity"]}
    run = client.create_run(
        experiment_id, record.get("started"), tags=tags, run_name=record["name"]
    )
    return run.info.run_id, False


def has_run(client: MlflowClient, experiment_name: str, identity: Mapping[str, str]) -> bool:
    """Tell whether a run is there, finished or not.

    Args:
        client: the open store.
        experiment_name: where it would be.
        identity: tags that no other run shares.
    """
    experiment = client.get_experiment_by_name(experiment_name)
    return experiment is not None and _find(client, experiment.experiment_id, identity) is not None


def _find(client: MlflowClient, experiment_id: str, identity: Mapping[str, str]) -> Run | None:
    same = filter_of(identity)
    runs = client.search_runs([experiment_id], same, max_results=1, order_by=OLDEST_FIRST)
    return runs[0] if runs else None


def describe(client: MlflowClient, run_id: str, description: RunDescription) -> None:
    """Log what is known of a run from its beginning: its parameters and its data.

    Args:
        client: the open store.
        run_id: the run.
        description: what is known; its data are shown with DVC's hash, and where they lie.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    params = [Param(name, value) for name, value in description["params"].items()]
    for start in range(0, len(params), PARAMS_AT_ONCE):
        client.log_batch(run_id, params=params[start : start + PARAMS_AT_ONCE])
    datasets = []
    for entry in description.get("data", []):
        dataset = Dataset(
            name=entry["path"],
            digest=entry["md5"],
            source_type="local",
            source=json.dumps({"uri": entry["path"]}),
            profile=json.dumps({"num_rows": entry["rows"]}) if "rows" in entry else None,
        )
        tags = {"mlflow.data.context": entry["context"], "downstream.dvc_md5": entry["md5"]}
        datasets.append(DatasetInput(dataset, [InputTag(*tag) for tag in tags.items()]))
    if datasets:
        client.log_inputs(run_id, datasets=datasets)


def log_metrics(
    client: MlflowClient, run_id: str, metrics: Metrics, timestamp_ms: int | None = None
) -> None:
    """Log metrics as of one time.

    Args:
        client: the open store.
        run_id: the run.
        metrics: name, value and step of each.
        timestamp_ms: the time, in milliseconds since 1970; None for now.
    """
    from mlflow.entities import Metric

    at = timestamp_ms or int(time.time() * 1000)
    log_points(client, run_id, [Metric(name, value, at, step) for name, value, step in metrics])


def log_points(client: MlflowClient, run_id: str, points: Sequence[Metric]) -> None:
    """Log metrics, as many at once as MLflow takes.

    Args:
        client: the open store.
        run_id: the run.
        points: metrics with their times and steps.
    """
    for start in range(0, len(points), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=points[start : start + METRICS_AT_ONCE])


def ensure_experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, created or restored where needed."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=artifact_location(name)))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def metrics_of(values: Mapping[str, Any]) -> list[tuple[str, float, int]]:
    """Return (name, value, step) of every number, nested names joined by dots.

    Of an interval, ``[low, high]`` under ``intervals``, come ``….low`` and ``….high``. Any other
    list of numbers is a curve, one value a step. What is no finite number is left out.
    """
    metrics = []
    for path, value in _leaves(values):
        if isinstance(value, (list, tuple)):
            is_interval = path[0] == "intervals" and len(value) == 2
            for step, item in enumerate(value):
                name = [*path, "low" if step == 0 else "high"] if is_interval else path
                metrics.append((".".join(name), item, 0 if is_interval else step))
        else:
            metrics.append((".".join(path), value, 0))
    return [(name, float(value), step) for name, value, step in metrics if _is_number(value)]


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
