"""A finished model, as evaluation and serving use it: contents in, scores out, in fp32.

Dimensions: N records, K labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.models.model import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jaxtyping import Float, Int

    from tasks.contracts.records import Modality
    from tasks.models.model import FinishedModel, Inputs

BATCH_SIZE = 64
# A batch ends before a record this many times as long as its first, unless it would be tiny.
LIKE_LENGTH = 1.1
FEWEST = 8


class Classifier:
    """A model on the device that computes its scores.

    Attributes:
        model: the model, for evaluation.
        labels: the class names, in the order of the columns of ``scores``.
        modality: ``"text"`` or ``"image"``.
        device: torch's name of it.
    """

    def __init__(self, model: FinishedModel) -> None:
        import torch

        self.model = model
        self.labels: list[str] = model.labels
        self.modality: Modality = model.modality
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        model.module.to(self.device).eval()

    def scores(self, contents: Sequence[Any]) -> Float[np.ndarray, "N K"]:
        """Return the probability of each label, float32, of texts or encoded images."""
        return self.scores_of(self.model.inputs(contents))

    def scores_of(
        self, inputs: Inputs, indices: Int[np.ndarray, " N"] | None = None
    ) -> Float[np.ndarray, "N K"]:
        """Return the probability of each label, float32, of contents that have become inputs.

        Records of like length share a batch, so that little is computed on padding.

        Args:
            inputs: of as many records as there are, perhaps of a whole split on the disk.
            indices: which of them; by default all.
        """
        import torch

        indices = np.arange(len(inputs.lengths)) if indices is None else indices
        lengths = inputs.lengths[indices]
        scores = np.zeros((len(lengths), len(self.labels)), dtype=np.float32)
        with torch.inference_mode():
            for chosen in batches_of_like_length(lengths):
                batch = {k: v.to(self.device) for k, v in inputs.batch(indices[chosen]).items()}
                logits = self.model.logits(batch)
                scores[chosen] = torch.softmax(logits.float(), dim=-1).cpu().numpy()
        return scores


def batches_of_like_length(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Yield all records, the shortest first, in batches in which little is padded."""
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    start = 0
    while start < len(order):
        alike = int(np.searchsorted(ordered, LIKE_LENGTH * ordered[start], side="right"))
        end = start + min(max(alike - start, FEWEST), BATCH_SIZE)
        yield order[start:end]
        start = end


def load_classifier(folder: Path) -> Classifier:
    """Load the classifier in ``data/finetune/<model>/model`` or ``…/twin``."""
    return Classifier(load_model(folder))
