"""What MLflow keeps of a version: its tags, its files, and the files of its evidence."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.errors import BadInput, Unreachable
from tasks.tracking.registry.version_writer import EVIDENCE, MODEL
from tasks.tracking.store import errors, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def read_version(client: MlflowClient, model: str, number: int) -> ModelVersion:
    """Return a version as the registry has it.

    Raises:
        BadInput: there is no such version.
        Unreachable: the store is away.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(model, str(number))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise Unreachable(f"MLflow: {model}: {first_line(error)}") from error
        raise BadInput(
            f"{model} has no version {number} in the registry: `downstream history {model}` "
            "lists those it has"
        ) from None


def download_model_files(client: MlflowClient, model: str, number: int, folder: Path) -> Path:
    """Copy the model's files to ``folder/model``, and return that."""
    read_version(client, model, number)
    uri = f"models:/{model}/{number}/artifacts/{MODEL}"
    return _download(client, uri, folder / MODEL, f"{model} version {number}")


def download_run_files(client: MlflowClient, run_id: str, folder: Path, who: str) -> Path:
    """Copy a run's evidence to ``folder/evaluation``, and return that."""
    return _download(client, f"runs:/{run_id}/{EVIDENCE}", folder / EVIDENCE, who)


def _download(client: MlflowClient, uri: str, target: Path, who: str) -> Path:
    from mlflow.artifacts import download_artifacts

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as temporary:
        try:
            found = download_artifacts(
                artifact_uri=uri,
                dst_path=temporary,
                tracking_uri=client.tracking_uri,
            )
        except errors() as error:
            raise Unreachable(
                f"{who}: MLflow does not give its files ({uri}): {first_line(error)}"
            ) from error
        files.replace_folder(Path(found), target)
    return target
