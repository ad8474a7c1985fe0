"""Go on training a backbone, with the objective that the settings name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.adapt.settings import Settings
from tasks.contracts import registry
from tasks.contracts.paths import Part
from tasks.models.initial.own import initial_of
from tasks.models.model import architecture_of, description
from tasks.objectives._backbone import (
    checkpoints_of,
    num_ranks_of,
    set_up,
    validated,
    watch_of,
    write_backbone,
)
from tasks.objectives._settings import OBJECTIVES
from tasks.tracking.runs.metric_log import MetricLog
from tasks.training.determinism import derive_seed, make_deterministic
from tasks.training.loop import train as train_model
from tasks.training.ranks import launch, rank


def run(
    row: str,
    backbone: Path,
    splits: Mapping[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
    journal: Path | None = None,
) -> dict[str, Any]:
    """Train on, and write ``model/`` and ``metrics.json``.

    Args:
        row: its name; a part of the seed.
        backbone: the ``model/`` to go on from.
        splits: the train and validation splits; the metrics are taken on the latter.
        output: the folder to write into.
        settings: the row's settings.
        seed: the ``seed`` of ``params.yaml``.
        checkpoints: the folder of this stage hash's checkpoints.
        journal: where the metrics of the training go, step by step.

    Returns:
        The metrics.

    Raises:
        BadInput: the objective, the corpus and the backbone do not fit.
        BadSettings: the objective cannot train the backbone's architecture.
        Diverged: a loss was NaN or infinite.
        Preempted: SIGTERM came; running again goes on from the checkpoint.
    """
    arguments = (row, backbone, dict(splits), output, settings, seed, checkpoints, journal)
    metrics: dict[str, Any] = launch(
        num_ranks_of(settings.training),
        _adapt,
        *arguments,
        restarts=settings.training.restarts or 0,
        nodes=settings.training.nodes or 1,
    )
    return metrics


def _adapt(
    row: str,
    backbone: Path,
    splits: dict[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
    journal: Path | None,
) -> dict[str, Any]:
    row_seed = derive_seed(seed, "adapt", row)
    make_deterministic(row_seed, settings.training.devices)
    about = description(backbone)
    task = registry.load(OBJECTIVES, settings.objective, "objective").prepare(
        architecture_of(backbone),
        None,
        settings.chosen,
        splits["train"],
        splits["validation"],
        initial=initial_of(backbone),
    )
    set_up(task, settings.training)
    losses = train_model(
        task,
        settings.training,
        row_seed,
        f"adapt {row}",
        checkpoints=checkpoints_of(task, checkpoints / "model"),
        metric_log=MetricLog(journal),
        watch=watch_of(settings.training),
    )
    validation = validated(task, settings.training)
    if rank() > 0:
        return {}
    about = {key: about[key] for key in ("architecture", "modality")}
    about["objective"] = settings.objective
    read = splits["train"], splits["validation"]
    return write_backbone(
        task, output, losses, validation, read, settings.linear_probe, about, backbone
    )
