"""Classification: the cross entropy of the labels.

Pretraining uses it on an architecture with a fresh head (supervised pretraining), finetuning on a
pretrained backbone.

Dimensions: N examples, K labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import settings as contract
from tasks.errors import BadInput
from tasks.models import image
from tasks.objectives._pictures import read_pictures
from tasks.objectives._task import Batch, ExampleRandom, Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float, Int
    from torch import Tensor

VALIDATION_BATCH_SIZE = 64


class Settings(contract.Settings):
    """Supervised pretraining has nothing to choose yet."""


class Classification(Task):
    """The task: labelled inputs, and the cross entropy of a classifier on them."""

    def __init__(
        self,
        family: Any,
        model: Any,
        train: Any,
        train_labels: Int[np.ndarray, " N"],
        validation: Any,
        validation_labels: Int[np.ndarray, " N"],
    ) -> None:
        self.model = model
        self.lengths = train.lengths
        self._family = family
        self._train = (train, train_labels)
        self._validation = (validation, validation_labels)

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:  # noqa: ARG002
        """Return inputs and ``labels`` of some training examples; nothing about them is random."""
        import torch

        return {**_labelled(self._train, indices), "counts": torch.tensor([float(len(indices))])}

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy."""
        from torch.nn.functional import cross_entropy

        loss = cross_entropy(self._logits(batch).float(), batch["labels"], reduction="sum")
        return loss / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return loss and accuracy on the validation examples, in fp32."""
        import torch
        from torch.nn.functional import cross_entropy

        device = next(self.model.parameters()).device
        order = np.argsort(self._validation[0].lengths, kind="stable")
        loss, right = 0.0, 0
        self.model.eval()
        with torch.inference_mode():
            for start in range(0, len(order), VALIDATION_BATCH_SIZE):
                batch = _labelled(self._validation, order[start : start + VALIDATION_BATCH_SIZE])
                batch = {name: value.to(device) for name, value in batch.items()}
                logits = self._logits(batch).float()
                loss += float(cross_entropy(logits, batch["labels"], reduction="sum"))
                right += int((logits.argmax(-1) == batch["labels"]).sum())
        self.model.train()
        return {"loss": loss / len(order), "accuracy": right / len(order)}

    def save(self, folder: Path) -> None:
        """Write the classifier; its encoder is the backbone."""
        self._family.save(self.model, folder)

    def _logits(self, batch: Batch) -> Float[Tensor, "N K"]:
        inputs = {name: value for name, value in batch.items() if name in self._family.INPUTS}
        logits: Tensor = self._family.logits(self.model, inputs)
        return logits


def _labelled(examples: tuple[Any, np.ndarray], indices: np.ndarray) -> Batch:
    import torch

    inputs, labels = examples
    return {**inputs.batch(indices), "labels": torch.from_numpy(labels[indices])}


def label_indexes(labels: Sequence[str | None], known: Sequence[str], where: Path) -> np.ndarray:
    """Return each label's place among the known ones, int64.

    Raises:
        BadInput: a record has no label, or one that the training split lacks.
    """
    places = {label: place for place, label in enumerate(known)}
    for label in labels:
        if label not in places:
            raise BadInput(
                f"{where}: the label {label!r} does not stand in the training split: "
                "collect records of it, or drop it"
            )
    return np.array([places[label] for label in labels if label is not None], dtype=np.int64)


def known_labels(labels: Sequence[str | None], where: Path) -> list[str]:
    """Return the class names of a training split, sorted.

    Raises:
        BadInput: there are fewer than two.
    """
    known = sorted({label for label in labels if label is not None})
    if len(known) < 2:
        raise BadInput(
            f"{where} has {len(known)} classes ({', '.join(known)}); "
            "classification needs two: check the corpus' `label`"
        )
    return known


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,  # noqa: ARG001
    train: Path,
    validation: Path,
) -> Classification:
    """Read both splits of an image corpus and build a classifier from random weights.

    Raises:
        BadInput: the corpus holds text, or has fewer than two classes.
    """
    pictures, held_out = (read_pictures(path, "classification") for path in (train, validation))
    known = known_labels(pictures.labels, train)
    model = image.add_head(architecture.build(architecture_settings, pictures.traits), len(known))
    return Classification(
        image,
        model,
        pictures.inputs,
        label_indexes(pictures.labels, known, train),
        held_out.inputs,
        label_indexes(held_out.labels, known, validation),
    )
