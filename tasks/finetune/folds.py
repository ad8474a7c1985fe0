"""Cross-validation: each record is predicted by a model that has not seen it.

Imported where ``folds`` is above 0 alone, so that a change here makes no other row stale.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.errors import BadInput
from tasks.finetune.corpus import by_class, choose_few
from tasks.finetune.task import new_task, train_task
from tasks.training.determinism import derive_seed

if TYPE_CHECKING:
    from tasks.finetune.task import Recipe
    from tasks.heads._corpus import Corpus


def assign_folds(
    ids: Sequence[str], labels: Sequence[str], num_folds: int, seed: int
) -> np.ndarray:
    """Return the fold, counted from 0, in which each record is held out; int64.

    Every class is spread over the folds as evenly as it can be, and so are all records.

    Args:
        ids: of the records.
        labels: their classes.
        num_folds: how many.
        seed: the ``seed`` of ``params.yaml``.

    Raises:
        BadInput: a class has fewer records than there are folds.
    """
    classes = by_class(ids, labels, f"folds:{seed}")
    smallest = min(classes, key=lambda label: len(classes[label]))
    if len(classes[smallest]) < num_folds:
        raise BadInput(
            f"folds: {num_folds}, but train and validation hold {len(classes[smallest])} records "
            f"of the class {smallest!r}: take fewer folds, or drop the class"
        )
    dealt = list(chain.from_iterable(classes.values()))
    folds = np.empty(len(ids), dtype=np.int64)
    folds[dealt] = np.arange(len(dealt)) % num_folds
    return folds


def cross_validate(
    recipe: Recipe, corpus: Corpus, folds: np.ndarray, epochs: int
) -> list[pa.Table]:
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
        folds: in which fold each record is held out, counted from 0.
        epochs: how long each model is trained.
    """
    parts = []
    for fold in range(folds.max() + 1):
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
        task: Any = new_task(recipe, train, validation, seed)
        train_task(recipe, task, name, FixedEpochs(epochs), seed)
        parts.append(_predictions(corpus, held_out, task.logits(), fold + 1))
    return parts


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


class FixedEpochs:
    """Ends a training after a number of epochs; it validates nothing."""

    def __init__(self, epochs: int) -> None:
        self.metrics: dict[str, float] = {}
        self._epochs = epochs

    def after_epoch(self, epoch: int) -> bool:
        """Tell whether it was the last one."""
        return epoch >= self._epochs

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: a checkpoint need not keep what the settings say."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
