"""Train a classifier on a pretrained backbone, and its twin from random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.contracts import files, records
from tasks.models.model import DESCRIPTION

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

    from tasks.contracts.paths import Part
    from tasks.finetune.corpus import Corpus
    from tasks.finetune.settings import Settings
    from tasks.finetune.task import Recipe


def run(
    model: str,
    backbone: Path,
    splits: dict[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
    journal: Path | None = None,
) -> dict[str, Any]:
    """Finetune, and write what ``tasks.finetune`` lists.

    Args:
        model: the row's name; a part of the seed.
        backbone: the pretrained ``model/``.
        splits: ``train`` and ``validation``, which chooses the epoch that is kept; every record
            has a label.
        output: the folder to write into.
        settings: the row's settings.
        seed: the ``seed`` of ``params.yaml``.
        checkpoints: the folder of this stage hash's checkpoints.
        journal: where the figures of the trainings go, step by step.

    Returns:
        The history of both trainings.

    Raises:
        BadInput: backbone and corpus do not fit, the settings ask for more tokens than the backbone
            has positions, a label is missing, a class has fewer records than there are folds, or
            LoRA finds nothing to adapt.
        Diverged: a loss was NaN or infinite.
        Preempted: SIGTERM came; running again goes on from the checkpoint.
    """
    from tasks.training.ranks import launch

    arguments = (model, backbone, splits, output, settings, seed, checkpoints, journal)
    history: dict[str, Any] = launch(settings.devices, _finetune, *arguments)
    return history


def _finetune(
    model: str,
    backbone: Path,
    splits: dict[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
    journal: Path | None,
) -> dict[str, Any]:
    from tasks.finetune import few_labels, folds
    from tasks.finetune.corpus import load_backbone_for, read_corpus
    from tasks.finetune.task import Recipe
    from tasks.training.ranks import rank

    loaded = load_backbone_for(backbone, settings)
    corpus = read_corpus(loaded, splits)
    recipe = Recipe(model, loaded, corpus.classes, settings, seed, checkpoints, journal=journal)
    fold_of = folds.assign(corpus.ids, corpus.labels, settings.folds, seed)
    labels = corpus.labels[: corpus.num_train]
    chosen = few_labels.choose(corpus.ids[: corpus.num_train], labels, settings.labels, seed)
    if rank() == 0:
        few_labels.say_what_lacks(labels, settings.labels)
    history = {"model": _train_and_save(recipe, corpus, chosen, output / "model")}
    if settings.twin:
        history["twin"] = _train_and_save(recipe.for_twin(), corpus, chosen, output / "twin")
    best_epoch = history["model"]["best_epoch"]
    held_out = folds.cross_validate(recipe, corpus, fold_of, best_epoch)
    if rank() == 0:
        if not settings.twin:
            files.write_json(output / "twin" / DESCRIPTION, {"trained": False})
        _write_table(output / "labels.parquet", corpus.named(chosen))
        _write_table(output / "folds.parquet", held_out)
        files.write_json(output / "history.json", files.rounded(history))
    return history


def _train_and_save(
    recipe: Recipe, corpus: Corpus, chosen: np.ndarray, output: Path
) -> dict[str, Any]:
    """Train the model or its twin, write it, and return how that went."""
    from tasks.finetune.early_stopping import EarlyStopping
    from tasks.finetune.task import new_task, train_task
    from tasks.training.ranks import rank

    train, validation = (corpus.examples.take(part) for part in (chosen, corpus.validation))
    task = new_task(recipe, train, validation, recipe.row_seed)
    stopping = EarlyStopping(task, recipe.settings.patience)
    losses = train_task(recipe, task, output.name, stopping, recipe.row_seed)
    best_epoch = stopping.agreed_best_epoch()
    if rank() == 0:
        stopping.restore_best()
        task.save(output)
    return {"best_epoch": best_epoch, "training_loss": losses, "epochs": stopping.epochs}


def _write_table(path: Path, table: pa.Table) -> None:
    records.write_records(path, table.schema, table.to_batches())
