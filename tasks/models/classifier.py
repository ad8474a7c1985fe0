"""A finished classifier, as evaluation and serving use it: contents in, scores out, in fp32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.models.folder import architecture_of, description

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCH_SIZE = 64
# A batch ends before a record this many times as long as its first, unless it would be tiny.
LIKE_LENGTH = 1.1
FEWEST = 8


class Classifier:
    """A model folder, loaded.

    Attributes:
        labels: the class names, in the order of the columns of ``scores``.
        modality: ``"text"`` or ``"image"``.
    """

    def __init__(self, folder: Path) -> None:
        import torch

        about = description(folder)
        self.labels: list[str] = about["labels"]
        self.modality: str = about["modality"]
        self._folder = folder
        self._family: Any = architecture_of(folder).family
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = self._family.load_classifier(folder).to(self._device).eval()

    def scores(self, contents: Sequence[str] | Sequence[bytes]) -> np.ndarray:
        """Return the probability of each label, num_records × num_labels, float32.

        Records of like length share a batch, so that little is computed on padding.
        """
        import torch

        inputs = self._family.inputs(contents, self._folder)
        scores = np.zeros((len(contents), len(self.labels)), dtype=np.float32)
        with torch.inference_mode():
            for chosen in batches_of_like_length(inputs.lengths):
                batch = {k: v.to(self._device) for k, v in inputs.batch(chosen).items()}
                logits = self._family.logits(self._model, batch)
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
    return Classifier(folder)
