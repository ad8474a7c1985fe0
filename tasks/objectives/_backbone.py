"""What is written of a backbone that has been trained, and the metrics of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.models.model import describe
from tasks.models.origin import LABELS_OF, labels_of, said_of, write_origin
from tasks.objectives._linear_probe import linear_probe
from tasks.objectives._settings import NO_OBJECTIVE
from tasks.training.checkpoints import Checkpoints
from tasks.training.evaluation import shared_by_ranks
from tasks.training.ranks import rank, share_weights

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.training.loop import Watch
    from tasks.training.settings import LongTrainingSettings
    from tasks.training.task import Task


def watch_of(settings: LongTrainingSettings) -> Watch | None:
    """Return what looks at the training of a backbone on its way, where that is asked for."""
    watch: Watch | None = None
    if settings.validate_every is not None:
        from tasks.training.watch import BestWeights

        watch = BestWeights(settings.validate_every, settings.keep)
    if settings.elastic:
        from tasks.training.spread.elastic import RanksNoted

        return RanksNoted(watch)
    return watch


def num_ranks_of(settings: LongTrainingSettings) -> int:
    """Return how many ranks train, on each node."""
    if not settings.elastic:
        return settings.devices
    from tasks.training.spread.elastic import num_ranks_here

    return num_ranks_here(settings.devices)


def set_up(task: Task, settings: LongTrainingSettings) -> None:
    """Change how a backbone is computed while it trains, where that is asked for.

    Raises:
        BadSettings: the architecture has not got what is asked for.
    """
    if settings.recompute:
        from tasks.objectives._recompute import recompute_layers

        recompute_layers(task.model)
    if settings.sharded:
        from tasks.training.spread.shards import Shards

        task.shards = Shards(task)


def checkpoints_of(task: Task, folder: Path) -> Checkpoints:
    """Return the checkpoints of a training that has been set up."""
    return Checkpoints(folder) if task.shards is None else task.shards.checkpoints(folder)


def validated(task: Task, settings: LongTrainingSettings) -> dict[str, float]:
    """Return the metrics of a trained model; all ranks call this, and share the batches.

    They are those that the first rank alone would come to.
    """
    if settings.sharded:  # the first rank alone has the whole model
        return task.validate() if rank() == 0 else {}
    share_weights(task.model)
    with shared_by_ranks():
        return task.validate()


def write_backbone(
    task: Task,
    output: Path,
    losses: list[float],
    validation: dict[str, float],
    splits: tuple[Path, Path],
    probed: int,
    about: dict[str, str],
    before: Path | None = None,
) -> dict[str, Any]:
    """Write ``model/`` and ``metrics.json``.

    Args:
        task: holds the trained model.
        output: the folder to write into.
        losses: the mean training loss of each epoch.
        validation: what ``validated`` has measured.
        splits: the training and the validation split.
        probed: how many labelled records the linear probe takes; 0: there is none.
        about: architecture, modality and objective, for ``downstream.json``.
        before: the folder of the backbone that it goes on from, whose origin is also its own.

    Returns:
        The metrics.
    """
    model = output / "model"
    task.save(model)
    if about["objective"] != NO_OBJECTIVE:
        write_origin(model, splits[0], before)
    own = [task.about[LABELS_OF]] if LABELS_OF in task.about else []
    learnt = said_of([*own, *(labels_of(before) if before else [])])
    describe(model, **about, **{**task.about, **learnt})
    supervised = splits[0].parent.name in labels_of(model)
    probe = linear_probe(model, splits, probed, supervised=supervised)
    metrics = {"validation": {**validation, **probe}, "training_loss": losses}
    if "ranks" in task.about:  # the bytes are those of this one training (``spread.elastic``)
        metrics["ranks"] = task.about["ranks"]
    files.write_json(output / "metrics.json", files.rounded(metrics))
    return metrics
