"""The last training: on train and validation together, for the epochs that validation chose.

Imported where ``refit`` is true alone, so that a change here makes no other row stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.finetune.folds import FixedEpochs
from tasks.finetune.task import new_task, train_task
from tasks.training.ranks import rank

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.finetune.task import Recipe
    from tasks.heads._corpus import Corpus


def refit(recipe: Recipe, corpus: Corpus, epochs: int, output: Path, part: str) -> dict[str, Any]:
    """Train a model or its twin anew on all records, write it, and return how that went.

    It follows the schedule of the first training and stops where that was best; nothing is left to
    validate it with.

    Args:
        recipe: the classifier, and how it learns.
        corpus: the records.
        epochs: how many.
        output: the folder that is written.
        part: what its checkpoints and metrics are called.
    """
    everything = corpus.examples.take(np.arange(len(corpus.ids)))
    validation = corpus.examples.take(corpus.validation)
    task = new_task(recipe, everything, validation, recipe.row_seed)
    losses = train_task(recipe, task, part, FixedEpochs(epochs), recipe.row_seed)
    if rank() == 0:
        task.save(output)
    return {"records": len(everything), "training_loss": losses}
