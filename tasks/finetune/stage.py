"""Train a classifier on a pretrained backbone, and its twin from random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.contracts import files, records
from tasks.finetune.callbacks import EarlyStopping, FixedEpochs
from tasks.finetune.corpus import assign_folds, choose_few, read_corpus, say_what_lacks
from tasks.finetune.task import Recipe, new_task, train_task
from tasks.models.model import DESCRIPTION, load_backbone
from tasks.training.determinism import derive_seed
from tasks.training.ranks import launch, rank

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.contracts.paths import Part
    from tasks.finetune.corpus import Corpus
    from tasks.finetune.settings import Settings


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
        journal: where the metrics of the trainings go, step by step.

    Returns:
        The history of both trainings.

    Raises:
        BadInput: backbone and corpus do not fit, the settings ask for more tokens than the backbone
            has positions, a label is missing, a class has fewer records than there are folds, or
            LoRA finds nothing to adapt.
        Diverged: a loss was NaN or infinite.
        Preempted: SIGTERM came; running again goes on from the checkpoint.
    """
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
    loaded = load_backbone(backbone)
    # The default length is a bound: a backbone with fewer positions lowers it.
    loaded.cut_to(settings.tokens, all_must_fit="tokens" in settings.model_fields_set)
    corpus = read_corpus(loaded, splits)
    recipe = Recipe(model, loaded, corpus.classes, settings, seed, checkpoints, journal=journal)
    fold_of = assign_folds(corpus.ids, corpus.labels, settings.folds, seed)
    labels = corpus.labels[: corpus.num_train]
    chosen = choose_few(corpus.ids[: corpus.num_train], labels, settings.labels, seed)
    if rank() == 0:
        say_what_lacks(labels, settings.labels)
    history = {"model": _train_and_save(recipe, corpus, chosen, output / "model")}
    if settings.twin:
        history["twin"] = _train_and_save(recipe.for_twin(), corpus, chosen, output / "twin")
    best_epoch = history["model"]["best_epoch"]
    held_out = _cross_validate(recipe, corpus, fold_of, best_epoch)
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
    train, validation = (corpus.examples.take(part) for part in (chosen, corpus.validation))
    task = new_task(recipe, train, validation, recipe.row_seed)
    stopping = EarlyStopping(task, recipe.settings.patience)
    losses = train_task(recipe, task, output.name, stopping, recipe.row_seed)
    best_epoch = stopping.agreed_best_epoch()
    if rank() == 0:
        stopping.restore_best()
        task.save(output)
    return {"best_epoch": best_epoch, "training_loss": losses, "epochs": stopping.epochs}


def _cross_validate(recipe: Recipe, corpus: Corpus, folds: np.ndarray, epochs: int) -> pa.Table:
    """Train one model a fold; return what each says about the records it has not seen.

        records    1   2   3  …  k      each class is dealt out evenly, in the order of a hash
        model 1   [ ]  x   x  …  x      [ ] held out: predicted, and nothing else
        model 2    x  [ ]  x  …  x       x  trained on

    A fold has no validation split of its own, and must not look at what it holds out to choose an
    epoch. It follows the plain model's schedule and stops after as many epochs as the plain model
    was best at.

    Args:
        recipe: the classifier, and how it learns.
        corpus: the records.
        folds: in which fold each record is held out, counted from 0; empty for no folds.
        epochs: how long each model is trained.
    """
    parts = []
    for fold in range(folds.max(initial=-1) + 1):
        rest, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        chosen = choose_few(
            [corpus.ids[index] for index in rest],
            [corpus.labels[index] for index in rest],
            recipe.settings.labels,
            recipe.seed,
        )
        name = f"fold-{fold + 1}"
        seed = derive_seed(recipe.row_seed, name)
        train, validation = corpus.examples.take(rest[chosen]), corpus.examples.take(held_out)
        task = new_task(recipe, train, validation, seed)
        train_task(recipe, task, name, FixedEpochs(epochs), seed)
        parts.append(_predictions(corpus, held_out, task.logits(), fold + 1))
    texts = [(name, pa.string()) for name in ("id", "label")]
    scores = [(f"score_{name}", pa.float64()) for name in corpus.classes]
    schema = pa.schema([*texts, ("fold", pa.int64()), ("predicted", pa.string()), *scores])
    return pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])


def _predictions(corpus: Corpus, held_out: np.ndarray, logits: np.ndarray, number: int) -> pa.Table:
    """Return one row a held-out record."""
    from scipy.special import softmax

    scores = softmax(logits.astype(np.float64), axis=1)
    predicted = scores.argmax(axis=1)
    return pa.table(
        {
            "id": [corpus.ids[index] for index in held_out],
            "label": [corpus.labels[index] for index in held_out],
            "fold": np.full(len(held_out), number),
            "predicted": [corpus.classes[index] for index in predicted],
            **{f"score_{name}": scores[:, index] for index, name in enumerate(corpus.classes)},
        }
    )


def _write_table(path: Path, table: pa.Table) -> None:
    records.write_records(path, table.schema, table.to_batches())
