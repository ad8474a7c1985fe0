"""Train a head on a pretrained backbone, and its twin from random weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.contracts import files, records
from tasks.contracts.paths import LABELS, REPEATS, TEACHER
from tasks.errors import BadInput
from tasks.finetune.callbacks import EarlyStopping
from tasks.finetune.corpus import choose_few, say_what_lacks
from tasks.finetune.task import Recipe, head_of, new_task, train_task
from tasks.models.model import DESCRIPTION, load_backbone
from tasks.models.origin import carry_origin
from tasks.progress import say
from tasks.training.ranks import launch, rank

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.contracts.paths import Part
    from tasks.finetune.settings import Settings
    from tasks.finetune.wide import WideCorpus
    from tasks.heads._corpus import Corpus
    from tasks.models.model import Backbone


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
            was trained on, a label is missing, a class has fewer records than there are folds,
            LoRA finds nothing to adapt, ``wide`` no n-grams, or a teacher answers with other
            labels.
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
    if loaded.modality != "text" and "tokens" in settings.model_fields_set:
        raise BadInput(
            f"finetune.tokens cuts texts, but the backbone {backbone} takes {loaded.modality}s: "
            "drop it"
        )
    # The default length is a bound: a backbone that was trained on shorter texts lowers it.
    loaded.cut_to(settings.tokens, all_must_fit="tokens" in settings.model_fields_set)
    head = head_of(settings)
    if loaded.modality not in head.MODALITIES:
        raise BadInput(
            f"finetune.head: {settings.head} is of {' and '.join(head.MODALITIES)}s, but the "
            f"backbone {backbone} takes {loaded.modality}s"
        )
    corpus = head.read_corpus(loaded, splits)
    recipe = Recipe(model, loaded, corpus.classes, settings, seed, checkpoints, journal=journal)
    if settings.wide is not None:
        recipe = replace(recipe, ngrams=_count_ngrams(loaded, splits, corpus, settings))
    if (backbone / TEACHER).is_dir():
        from tasks.finetune.distill import read_lesson

        of_both = [splits["train"], splits["validation"]]
        lesson = read_lesson(backbone, of_both, settings.head, corpus.classes, checkpoints)
        recipe = replace(recipe, lesson=lesson)
    fold_of = None
    if settings.folds:
        from tasks.finetune.folds import assign_folds, cross_validate

        fold_of = assign_folds(corpus.ids, corpus.labels, settings.folds, seed)
    labels = corpus.labels[: corpus.num_train]
    if rank() == 0:
        say_what_lacks(labels, settings.labels)
    history = _train_pair(recipe, corpus, output)
    for number in range(2, settings.repeats + 1):
        # Beside the twin: what a model is compared with, and not a part of what is registered.
        folder = output / "twin" / REPEATS / str(number)
        history |= _train_pair(replace(recipe, repeat=number), corpus, folder)
    held_out: list[pa.Table] = []
    if fold_of is not None:
        held_out = cross_validate(recipe, corpus, fold_of, history["model"]["best_epoch"])
    if rank() == 0:
        carry_origin(backbone, output / "model")
        if recipe.lesson is not None:
            from tasks.finetune.distill import tell_teacher

            tell_teacher(backbone, output / "model")
        if not settings.twin:
            files.write_json(output / "twin" / DESCRIPTION, {"trained": False})
        _write_table(output / "folds.parquet", _joined(held_out, corpus.classes))
        files.write_json(output / "history.json", files.rounded(history))
    return history


def _count_ngrams(
    backbone: Backbone, splits: dict[Part, Path], corpus: Corpus, settings: Settings
) -> WideCorpus:
    """Count the n-grams of all records, for the wide parts that are fitted on some of them."""
    if backbone.modality != "text":
        raise BadInput(
            f"finetune.wide reads the n-grams of texts, but the backbone {backbone.folder} takes "
            f"{backbone.modality}s: drop it"
        )
    from tasks.finetune.wide import WideCorpus

    return WideCorpus([splits["train"], splits["validation"]], corpus.ids, settings)


def _train_pair(recipe: Recipe, corpus: Corpus, folder: Path) -> dict[str, Any]:
    """Train a model and its twin on the same records, write both, and return how that went."""
    settings, number = recipe.settings, recipe.repeat
    ids, labels = corpus.ids[: corpus.num_train], corpus.labels[: corpus.num_train]
    chosen = choose_few(ids, labels, settings.labels, recipe.labels_seed)
    pair = {"model": recipe, **({"twin": recipe.for_twin()} if settings.twin else {})}
    history = {}
    for part, one in pair.items():
        name = part if number == 1 else f"{part}-{number}"
        history[name] = _train_and_save(one, corpus, chosen, folder / part, name)
    if rank() == 0:
        learnt = np.arange(len(corpus.ids)) if settings.refit else chosen
        _write_table(folder / LABELS, corpus.named(learnt))
        if number > 1:
            model, twin = (max(it["accuracy"] for it in one["epochs"]) for one in history.values())
            say(f"repeat {number}: validation accuracy {model:.4f}, of the twin {twin:.4f}")
    return history


def _train_and_save(
    recipe: Recipe, corpus: Corpus, chosen: np.ndarray, output: Path, part: str
) -> dict[str, Any]:
    """Train a model or its twin, write it, and return how that went.

    Args:
        recipe: the classifier, and how it learns.
        corpus: the records.
        chosen: the indices of those to train on.
        output: the folder that is written.
        part: what its checkpoints and metrics are called.
    """
    train, validation = (corpus.examples.take(some) for some in (chosen, corpus.validation))
    task = new_task(recipe, train, validation, recipe.row_seed)
    stopping = EarlyStopping(
        task,
        recipe.settings.patience,
        tells=recipe.repeat == 1,
        decides=recipe.head.decides(corpus.classes),
    )
    losses = train_task(recipe, task, part, stopping, recipe.row_seed)
    best_epoch = stopping.agreed_best_epoch()
    told = {"best_epoch": best_epoch, "training_loss": losses, "epochs": stopping.epochs}
    if recipe.settings.refit:
        from tasks.finetune.refit import refit

        return {**told, "refit": refit(recipe, corpus, best_epoch, output, f"{part}-refit")}
    if rank() == 0:
        stopping.restore_best()
        task.save(output)
    return told


def _joined(parts: list[pa.Table], classes: list[str]) -> pa.Table:
    """Return the folds' predictions one after the other; without folds, no rows."""
    texts = [(name, pa.string()) for name in ("id", "label")]
    scores = [(f"score_{name}", pa.float64()) for name in classes]
    schema = pa.schema([*texts, ("fold", pa.int64()), ("predicted", pa.string()), *scores])
    return pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])


def _write_table(path: Path, table: pa.Table) -> None:
    records.write_records(path, table.schema, table.to_batches())
