"""Train a backbone with the objective and architecture that the settings name."""

from functools import partial
from pathlib import Path
from typing import Any

from tasks.contracts import registry
from tasks.models.initial.published import MODEL_TYPES
from tasks.objectives._backbone import (
    checkpoints_of,
    num_ranks_of,
    set_up,
    validated,
    watch_of,
    write_backbone,
)
from tasks.objectives._settings import OBJECTIVES
from tasks.pretrain.settings import ARCHITECTURES, Settings
from tasks.tracking.runs.metric_log import MetricLog
from tasks.training.determinism import derive_seed, make_deterministic
from tasks.training.loop import train as train_model
from tasks.training.ranks import launch, rank
from tasks.training.task import Task


def run(
    backbone: str,
    train: Path,
    validation: Path,
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
    journal: Path | None = None,
) -> dict[str, Any]:
    """Pretrain, and write ``model/`` and ``metrics.json``.

    Args:
        backbone: the row's name; a part of the seed.
        train: the training split.
        validation: the validation split, on which the metrics are taken.
        output: the folder to write into.
        settings: the row's settings.
        seed: the ``seed`` of ``params.yaml``.
        checkpoints: the folder of this stage hash's checkpoints.
        journal: where the metrics of the training go, step by step.

    Returns:
        The metrics.

    Raises:
        BadInput: the objective and the corpus do not fit, or a checkpoint cannot be started from.
        Diverged: a loss was NaN or infinite.
        MissingPin: the settings name a remote checkpoint that is not pinned.
        Preempted: SIGTERM came; running again goes on from the checkpoint.
        Unreachable: a remote checkpoint has to be downloaded, and nothing answers.
    """
    initial = None
    if settings.init is not None:
        from tasks.pretrain.init import checkpoint_folder

        initial = checkpoint_folder(backbone, settings.init, checkpoints / "init")
    splits = (train, validation)
    arguments = (backbone, splits, output, settings, seed, checkpoints, initial, journal)
    metrics: dict[str, Any] = launch(
        num_ranks_of(settings.training),
        _pretrain,
        *arguments,
        restarts=settings.training.restarts or 0,
        nodes=settings.training.nodes or 1,
    )
    return metrics


def _pretrain(
    backbone: str,
    splits: tuple[Path, Path],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
    initial: Path | None,
    journal: Path | None,
) -> dict[str, Any]:
    row_seed = derive_seed(seed, "pretrain", backbone)
    make_deterministic(row_seed, settings.training.devices)
    architecture = registry.load(ARCHITECTURES, settings.architecture, "architecture")
    objective = registry.load(OBJECTIVES, settings.objective, "objective")
    chosen = settings.chosen
    sizes = getattr(settings, settings.architecture, None)
    if settings.init is None or initial is None:
        task: Task = objective.prepare(architecture, sizes, chosen, *splits)
    elif settings.init.only:
        from tasks.objectives._fresh import FreshText, fresh_tokenizer

        tokenizer = partial(fresh_tokenizer, initial, settings.init.identity)
        fresh = FreshText(tokenizer, architecture, sizes)
        task = objective.prepare(architecture, sizes, chosen, *splits, initial=fresh)
    else:
        from tasks.models.initial.published import Checkpoint

        model_type = MODEL_TYPES[settings.architecture]
        checkpoint = Checkpoint(initial, model_type, settings.init.identity)
        task = objective.prepare(architecture, None, chosen, *splits, initial=checkpoint)
    set_up(task, settings.training)
    losses: list[float] = []
    if task.trains:
        losses = train_model(
            task,
            settings.training,
            row_seed,
            f"pretrain {backbone}",
            checkpoints=checkpoints_of(task, checkpoints / "model"),
            metric_log=MetricLog(journal),
            watch=watch_of(settings.training),
        )
    validation = validated(task, settings.training)
    if rank() > 0:
        return {}
    about = {
        "architecture": settings.architecture,
        "modality": architecture.BACKBONE.modality,
        "objective": settings.objective,
    }
    return write_backbone(task, output, losses, validation, splits, settings.linear_probe, about)
