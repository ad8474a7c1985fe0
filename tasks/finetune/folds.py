"""Cross-validation over train and validation: k models, each judged by records it has not seen.

    records    1   2   3  …  k      each class is dealt out evenly, in the order of a hash
    model 1   [ ]  x   x  …  x      [ ] held out: predicted, and nothing else
    model 2    x  [ ]  x  …  x       x  trained on

A fold has no validation split of its own, and must not look at what it holds out to choose an
epoch. It follows the plain model's schedule and stops after as many epochs as the plain model was
best at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.errors import BadInput
from tasks.finetune.few_labels import by_class, choose

if TYPE_CHECKING:
    from tasks.finetune.corpus import Corpus
    from tasks.finetune.task import Recipe


class FixedEpochs:
    """A watcher that ends a training after a number of epochs, and looks at nothing."""

    def __init__(self, epochs: int) -> None:
        self.figures: dict[str, float] = {}
        self._epochs = epochs

    def after_epoch(self, epoch: int) -> bool:
        """Tell whether it was the last one."""
        return epoch >= self._epochs

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a checkpoint need not keep what the settings say."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing back."""


def assign(ids: Sequence[str], labels: Sequence[str], num_folds: int, seed: int) -> np.ndarray:
    """Return the fold, counted from 0, in which each record is held out; int64.

    Every class is spread over the folds as evenly as it can be, and so are all records.

    Args:
        ids: of the records.
        labels: their classes.
        num_folds: how many; with 0, no record is held out, and the result is empty.
        seed: the ``seed`` of ``params.yaml``.

    Raises:
        BadInput: a class has fewer records than there are folds.
    """
    if not num_folds:
        return np.empty(0, dtype=np.int64)
    classes = by_class(ids, labels, f"folds:{seed}")
    smallest = min(classes, key=lambda label: len(classes[label]))
    if len(classes[smallest]) < num_folds:
        raise BadInput(
            f"folds: {num_folds}, but train and validation hold {len(classes[smallest])} records "
            f"of the class {smallest!r}: take fewer folds, or drop the class"
        )
    dealt = [place for places in classes.values() for place in places]
    folds = np.empty(len(ids), dtype=np.int64)
    folds[dealt] = np.arange(len(dealt)) % num_folds
    return folds


def cross_validate(recipe: Recipe, corpus: Corpus, folds: np.ndarray, epochs: int) -> pa.Table:
    """Train one model a fold; return what each says about the records it has not seen.

    Args:
        recipe: the classifier, and how it learns.
        corpus: the records.
        folds: in which fold each record is held out, counted from 0; empty for no folds.
        epochs: how long each model is trained.
    """
    parts = []
    for fold in range(folds.max(initial=-1) + 1):
        rest, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        chosen = choose(
            [corpus.ids[place] for place in rest],
            [corpus.labels[place] for place in rest],
            recipe.settings.labels,
            recipe.seed,
        )
        logits = _train_fold(recipe, corpus, fold + 1, rest[chosen], held_out, epochs)
        parts.append(_predictions(corpus, held_out, logits, fold + 1))
    schema = _schema(corpus.classes)
    return pa.concat_tables([schema.empty_table(), *(part.cast(schema) for part in parts)])


def _train_fold(
    recipe: Recipe,
    corpus: Corpus,
    number: int,
    train: np.ndarray,
    held_out: np.ndarray,
    epochs: int,
) -> np.ndarray:
    """Return the logits of what one fold holds out, N K."""
    from tasks.finetune.task import new_task, train_task
    from tasks.training.determinism import derive_seed

    name = f"fold-{number}"
    seed = derive_seed(recipe.row_seed, name)
    task = new_task(recipe, corpus.examples.take(train), corpus.examples.take(held_out), seed)
    train_task(recipe, task, name, FixedEpochs(epochs), seed)
    return task.logits()


def _predictions(corpus: Corpus, held_out: np.ndarray, logits: np.ndarray, number: int) -> pa.Table:
    """Return one row a held-out record."""
    from scipy.special import softmax

    scores = softmax(logits.astype(np.float64), axis=1)
    predicted = scores.argmax(axis=1)
    return pa.table(
        {
            "id": [corpus.ids[place] for place in held_out],
            "label": [corpus.labels[place] for place in held_out],
            "fold": np.full(len(held_out), number),
            "predicted": [corpus.classes[index] for index in predicted],
            **{f"score_{name}": scores[:, place] for place, name in enumerate(corpus.classes)},
        }
    )


def _schema(classes: list[str]) -> pa.Schema:
    texts = [(name, pa.string()) for name in ("id", "label")]
    scores = [(f"score_{name}", pa.float64()) for name in classes]
    return pa.schema([*texts, ("fold", pa.int64()), ("predicted", pa.string()), *scores])
