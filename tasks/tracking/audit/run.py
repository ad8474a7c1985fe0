"""Where the audit log of a registered model lies: one MLflow run, the same for every machine.

MLflow refuses to change a parameter of a run once it is logged, and its database takes a key once:
so of two writers of one key exactly one succeeds, and nothing that was written can be replaced
through MLflow. That is all that the log and the claims are built on.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tasks.errors import DownstreamError
from tasks.tracking.store import artifact_location, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "downstream-audit/"
RUN_NAME = "audit"
LONGEST_VALUE = 6000
"""MLflow's limit, in characters; it would cut silently what is longer."""


def find_run(client: MlflowClient, model: str) -> Run | None:
    """Return the run that holds a model's log; None before the first entry.

    Raises:
        DownstreamError: its experiment is there, but the run was deleted for good; or there is
            another beside it.
    """
    from mlflow.entities import LifecycleStage, ViewType

    experiment = client.get_experiment_by_name(EXPERIMENT + model)
    if experiment is None:
        return None
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_experiment(experiment.experiment_id)
    runs = client.search_runs(
        [experiment.experiment_id], run_view_type=ViewType.ALL, order_by=["start_time"]
    )
    if len(runs) > 1:
        ids = ", ".join(f"{run.info.run_id} ({len(run.data.params)} parameters)" for run in runs)
        raise DownstreamError(
            f"the audit log of {model} is one run, and experiment {experiment.name!r} in MLflow "
            f"has {len(runs)}: {ids}: somebody has added one. Find out which, delete it there, and "
            f"remove it for good: `mlflow gc --tracking-uri {tracking_uri()} --run-ids ID`"
        )
    named = [run for run in runs if run.info.run_name == RUN_NAME]
    if not named:
        raise DownstreamError(
            f"the audit log of {model} is gone: experiment {experiment.name!r} in MLflow has no "
            "run 'audit' any more: restore MLflow's database from a backup, or rename the "
            "experiment to begin a new log"
        )
    run = named[0]
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_run(run.info.run_id)
    return run


def make_run(client: MlflowClient, model: str) -> str:
    """Return the id of the run that holds a model's log, made if there is none.

    The experiment gets its name when its run is there: names are unique, so whoever comes second
    is refused, and nobody ever sees the experiment without its run.
    """
    from mlflow.exceptions import MlflowException

    run = find_run(client, model)
    if run is not None:
        return str(run.info.run_id)
    name = EXPERIMENT + model
    experiment_id = client.create_experiment(
        f"{name}/{uuid.uuid4().hex}", artifact_location=artifact_location(name)
    )
    run_id = client.create_run(experiment_id, run_name=RUN_NAME).info.run_id
    client.set_terminated(run_id)
    try:
        client.rename_experiment(experiment_id, name)
    except MlflowException:
        client.delete_experiment(experiment_id)
        run = find_run(client, model)
        if run is None:
            raise
        return str(run.info.run_id)
    return str(run_id)


def write_once(client: MlflowClient, run_id: str, key: str, value: str) -> bool:
    """Write a value under a key that has none.

    Args:
        client: the open store.
        run_id: the run that holds the log.
        key: the name of the parameter.
        value: its text.

    Returns:
        False if another value is there already.

    Raises:
        DownstreamError: the value is longer than what MLflow keeps.
    """
    from mlflow.exceptions import MlflowException

    if len(value) > LONGEST_VALUE:
        raise DownstreamError(
            f"{key}: {len(value)} characters are more than the {LONGEST_VALUE} that MLflow keeps: "
            "give a shorter reason"
        )
    try:
        client.log_param(run_id, key, value)
    except MlflowException:
        held = client.get_run(run_id).data.params
        if key not in held:
            raise
        return bool(held[key] == value)  # ours, if MLflow failed after it had taken it
    return True
