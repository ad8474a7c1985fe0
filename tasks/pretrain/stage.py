"""Train a backbone with the objective and architecture that the settings name."""

from pathlib import Path
from typing import Any

from tasks.contracts import files
from tasks.models.folder import describe
from tasks.pretrain.settings import Settings


def run(
    backbone: str,
    train: Path,
    validation: Path,
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
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

    Returns:
        The metrics.

    Raises:
        BadInput: the objective and the corpus do not fit.
        Diverged: a loss was NaN or infinite.
        Preempted: SIGTERM came; running again goes on from the checkpoint.
    """
    from tasks.training.ranks import launch

    arguments = (backbone, train, validation, output, settings, seed, checkpoints)
    metrics: dict[str, Any] = launch(settings.training.devices, _pretrain, *arguments)
    return metrics


def _pretrain(
    backbone: str,
    train: Path,
    validation: Path,
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
) -> dict[str, Any]:
    from tasks.contracts import registry
    from tasks.pretrain.settings import ARCHITECTURES, OBJECTIVES
    from tasks.training.checkpoints import Checkpoints
    from tasks.training.determinism import derive_seed, make_deterministic
    from tasks.training.loop import train as train_model
    from tasks.training.ranks import rank

    row_seed = derive_seed(seed, "pretrain", backbone)
    make_deterministic(row_seed, settings.training.devices)
    objective = registry.load(OBJECTIVES, settings.objective, "objective")
    architecture = registry.load(ARCHITECTURES, settings.architecture, "architecture")
    task = objective.prepare(
        architecture,
        getattr(settings, settings.architecture),
        getattr(settings, settings.objective),
        train,
        validation,
    )
    losses = train_model(
        task,
        settings.training,
        row_seed,
        f"pretrain {backbone}",
        checkpoints=Checkpoints(checkpoints / "model"),
    )
    if rank() > 0:
        return {}
    metrics = {"validation": task.validate(), "training_loss": losses}
    task.save(output / "model")
    describe(
        output / "model",
        architecture=settings.architecture,
        modality=architecture.family.MODALITY,
        objective=settings.objective,
    )
    files.write_json(output / "metrics.json", files.rounded(metrics))
    return metrics
