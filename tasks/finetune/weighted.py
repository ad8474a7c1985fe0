"""The weighted mean of word vectors: what all texts have in common is learnt before a training.

It is learnt from the training's own records, without their labels, for a model and its twin each.

Imported where ``pooling: weighted`` alone, so that a change here makes no other row stale.

Dimensions: N records, H features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.models.text import WEIGHTED
from tasks.training.evaluation import evaluate, slices

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from tasks.models.model import Model
    from tasks.objectives.classification import Examples
    from tasks.training.task import Batch

BATCH_SIZE = 64


def fit_pooling(model: Model, examples: Examples) -> None:
    """Learn the first principal component of texts' weighted means, and their size.

    Args:
        model: a new classifier of texts, with a weighted mean.
        examples: what it will be trained on.
    """
    import torch

    def moments(batch: Batch) -> Float[Tensor, "H H"]:
        features = model.features(batch).double()
        return features.T @ features

    pooling: Any = model.module[WEIGHTED]
    by_length = np.argsort(examples.lengths, kind="stable")
    batches = map(examples.batch, slices(by_length, BATCH_SIZE))
    model.module.to("cuda" if torch.cuda.is_available() else "cpu")
    sums = evaluate(model.module, batches, moments)
    pooling.fit(torch.stack(sums).sum(0) / len(examples))
