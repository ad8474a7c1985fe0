"""The model registry: a version a content, and ``candidate`` on the workspace's model."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.contracts import files, paths
from tasks.errors import Unreachable
from tasks.progress import say
from tasks.tracking import outbox
from tasks.tracking.figures import metrics_of
from tasks.tracking.provenance import provenance
from tasks.tracking.store import errors, first_line, opened
from tasks.tracking.version_writer import candidate_of, find_version, set_candidate


def publish(
    model_name: str,
    folder: Path,
    version: Mapping[str, Any],
    metrics: Mapping[str, Any],
    card: Path,
    plots: Path,
) -> int | None:
    """Register a model as a version bound to its content; an existing one is used again.

    Args:
        model_name: the row of ``params.yaml``, and the registered model's name.
        folder: ``data/finetune/<model>/model``.
        version: the content of ``version.json``.
        metrics: the content of ``metrics.json``.
        card: the model card.
        plots: the folder of its plots.

    Returns:
        The version's number; None while the store is away and the record waits.
    """
    record = {
        "model": model_name,
        "content_hash": version["content_hash"],
        "passed": version["gates"]["passed"],
        "missed": version["gates"]["missed"],
        "metrics": metrics_of(metrics),
        "tags": provenance("register", model_name),
    }
    attached = {"model": folder, "README.md": card, "plots": plots}
    number: int | None = outbox.deliver("version", record, attached)
    return number


def reconcile(models: Iterable[str]) -> dict[str, int | None]:
    """Make the registry agree with the workspace, whatever was restored or done elsewhere.

    Waiting records are sent, missing versions are created, and ``candidate`` is put on the
    version that ``data/register/<model>/version.json`` names. A model that is not registered in
    the workspace, or missed a gate, is left alone.

    Returns:
        The candidate's version by model; empty while the store is away.
    """
    models = list(models)
    try:
        with opened() as client:
            outbox.send_waiting(client)
            missing = [model for model in models if not _follow(client, model)]
        for model in missing:
            _publish_from_workspace(model)
        return candidate_versions(models)
    except Unreachable as error:
        say(f"warning: {error}. The registry was not compared with the workspace")
        return {}


def candidate_versions(models: Iterable[str]) -> dict[str, int | None]:
    """Return the version that has the alias ``candidate``, by model.

    Raises:
        Unreachable: the store is away.
    """
    with opened() as client:
        return {model: candidate_of(client, model) for model in models}


def candidate_version(model: str) -> int | None:
    """Return the version of a model that has the alias ``candidate``.

    Raises:
        Unreachable: the store is away.
    """
    return candidate_versions([model])[model]


def _follow(client: Any, model: str) -> bool:
    """Put ``candidate`` on the workspace's version; False if the store does not have it."""
    if not paths.version(model).exists():
        return True
    version = files.read_json(paths.version(model))
    try:
        number = find_version(client, model, version["content_hash"])
        if number is not None and version["gates"]["passed"]:
            set_candidate(client, model, number)
    except errors() as error:
        raise Unreachable(f"MLflow: {model}: {first_line(error)}") from error
    return number is not None


def _publish_from_workspace(model: str) -> None:
    version = files.read_json(paths.version(model))
    folder, metrics = paths.finetuned(model), paths.metrics(model)
    evidence = paths.stage_output("evaluate", model)
    if not folder.is_dir() or not metrics.exists():
        return
    # A model that was finetuned anew, and not yet registered, is not what version.json speaks of.
    if files.sha256_of_folder(folder) != version["content_hash"]:
        return
    plots = evidence / "plots"
    publish(model, folder, version, files.read_json(metrics), evidence / "README.md", plots)
