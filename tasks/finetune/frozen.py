"""A backbone that does not learn: what it makes of each record is computed once, and kept.

Nothing is dropped in it, and its norms see no batch: it is what evaluation and serving will use.
The head is then trained on these features alone.

Imported where ``mode: frozen`` alone, so that a change here makes no other row stale.

Dimensions: N records, M of them, H features, K labels.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.objectives.classification import Examples
from tasks.training.evaluation import evaluate, slices

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float, Int
    from torch import Tensor

    from tasks.models.model import Model
    from tasks.training.task import Batch

BATCH_SIZE = 64


class Features:
    """What a backbone has made of records, in a file that ends with this process.

    Attributes:
        lengths: the cost of each record: they are all alike.
    """

    def __init__(self, values: Float[np.ndarray, "N H"]) -> None:
        self._values = values
        self.lengths = np.ones(len(values), dtype=np.int64)

    def batch(self, indices: Int[np.ndarray, " M"]) -> dict[str, Tensor]:
        """Return ``features``, M H, of some records."""
        import torch

        return {"features": torch.from_numpy(self._values[indices])}


class Head:
    """The head of a classifier, which takes features.

    Attributes:
        module: holds ``head``.
    """

    def __init__(self, model: Model) -> None:
        from torch import nn

        self.module = nn.ModuleDict({"head": model.module["head"]})
        self._model = model

    def logits(self, batch: Batch) -> Float[Tensor, "M K"]:
        """Return the logits of a batch of ``Features``."""
        logits: Tensor = self.module["head"](batch["features"])
        return logits

    def save(self, folder: Path) -> None:
        """Write the whole classifier."""
        self._model.save(folder)


def with_features(model: Model, examples: Examples) -> Examples:
    """Return labelled features in place of the inputs that a backbone makes them from.

    Args:
        model: the classifier.
        examples: labelled records.
    """
    import torch

    model.module.to("cuda" if torch.cuda.is_available() else "cpu")
    head: Any = model.module["head"]
    with tempfile.TemporaryFile() as file:  # what is mapped of it stays
        shape = (len(examples), head[1].in_features)
        values = np.memmap(file, np.float32, "w+", shape=shape)

    def keep(batch: Batch) -> None:
        values[batch["rows"].cpu().numpy()] = model.features(batch).float().cpu().numpy()

    by_length = np.argsort(examples.lengths, kind="stable")
    batches = (
        {**examples.batch(rows), "rows": torch.from_numpy(rows)}
        for rows in slices(by_length, BATCH_SIZE)
    )
    evaluate(model.module, batches, keep)
    return Examples.of(Features(values), examples.labels)
