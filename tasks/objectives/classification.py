"""Classification: the cross entropy of the labels.

Pretraining uses it on an architecture with a fresh head (supervised pretraining), finetuning on a
pretrained backbone.

Dimensions: N examples, M of them, K labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from tasks.contracts import settings as contract
from tasks.errors import BadInput
from tasks.models.image import ImageModel
from tasks.models.origin import LABELS_OF
from tasks.objectives._images import build, start
from tasks.training.evaluation import evaluate, slices
from tasks.training.task import Batch, ExampleRandom, Task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float, Int
    from torch import Tensor, nn

    from tasks.models.initial.kinds import InitialImages

PART = "encoder"
READS_LABELS = True
"""A backbone trained so has learnt all labels of its corpus."""
VALIDATION_BATCH_SIZE = 64


class Learner(Protocol):
    """What learns: a model, or the part of one that does."""

    @property
    def module(self) -> nn.Module:
        """What is trained."""

    def logits(self, batch: Batch) -> Float[Tensor, "N K"]:
        """Return the logits of a batch."""

    def save(self, folder: Path) -> None:
        """Write the whole model."""


class ExampleInputs(Protocol):
    """Contents as a learner takes them."""

    @property
    def lengths(self) -> Int[np.ndarray, " N"]:
        """The cost of each."""

    def batch(self, indices: Int[np.ndarray, " M"]) -> Batch:
        """Return the tensors of some."""


class Settings(contract.Settings):
    """Supervised pretraining has nothing to choose yet."""


@dataclass(frozen=True)
class Examples:
    """Labelled inputs, or some of them.

    Attributes:
        inputs: contents as a model takes them.
        indices: which of the inputs these are.
        labels: the class of each, as its index among the known ones.
    """

    inputs: ExampleInputs
    indices: Int[np.ndarray, " N"]
    labels: Int[np.ndarray, " N"]

    @classmethod
    def of(cls, inputs: ExampleInputs, labels: Int[np.ndarray, " N"]) -> Self:
        """Return all inputs with their labels."""
        return cls(inputs, np.arange(len(labels)), labels)

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)

    @property
    def lengths(self) -> Int[np.ndarray, " N"]:
        """The cost of each example."""
        lengths: np.ndarray = self.inputs.lengths[self.indices]
        return lengths

    def take(self, indices: Int[np.ndarray, " M"]) -> Self:
        """Return some of the examples."""
        return replace(self, indices=self.indices[indices], labels=self.labels[indices])

    def batch(self, indices: Int[np.ndarray, " M"]) -> Batch:
        """Return inputs and ``labels`` of some examples."""
        import torch

        labels = torch.from_numpy(self.labels[indices])
        return {**self.inputs.batch(self.indices[indices]), "labels": labels}


class Classification(Task):
    """The task: labelled inputs, and the cross entropy of a classifier on them."""

    def __init__(
        self,
        classifier: Learner,
        train: Examples,
        validation: Examples,
        class_weights: Float[np.ndarray, " K"] | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        """Take a classifier and its examples.

        Args:
            classifier: what learns.
            train: what it is trained on.
            validation: what ``validate`` and ``logits`` are about.
            class_weights: how much an example of each class counts; all alike without it.
            label_smoothing: share of the target that is spread over all classes (Szegedy et al.,
                2016, https://arxiv.org/abs/1512.00567).
        """
        self.model = classifier.module
        self.lengths = train.lengths
        self._classifier = classifier
        self._train = train
        self._validation = validation
        self._class_weights = class_weights
        self._label_smoothing = label_smoothing

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:  # noqa: ARG002
        """Return inputs and ``labels`` of some training examples; nothing about them is random."""
        import torch

        batch = self._train.batch(indices)
        if self._class_weights is None:
            return {**batch, "counts": torch.tensor([float(len(indices))])}
        weights = torch.from_numpy(self._class_weights).float()
        counts = weights[batch["labels"]].sum().reshape(1)
        return {**batch, "class_weights": weights, "counts": counts}

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy, weighted by class where there are weights."""
        from torch.nn.functional import cross_entropy

        loss = cross_entropy(
            self._classifier.logits(batch).float(),
            batch["labels"],
            weight=batch.get("class_weights"),
            label_smoothing=self._label_smoothing,
            reduction="sum",
        )
        return loss / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return loss and accuracy on the validation examples, in fp32.

        The loss is the plain cross entropy, so that it compares over all settings.
        ``majority_accuracy`` is that of always answering the training examples' largest class.
        """
        import torch
        from torch.nn.functional import cross_entropy

        logits, labels = torch.from_numpy(self.logits()), torch.from_numpy(self._validation.labels)
        majority = int(np.bincount(self._train.labels).argmax())
        return {
            "loss": float(cross_entropy(logits, labels)),
            "accuracy": float((logits.argmax(-1) == labels).double().mean()),
            "majority_accuracy": float((self._validation.labels == majority).mean()),
        }

    def logits(self) -> Float[np.ndarray, "N K"]:
        """Return the logits of the validation examples, in fp32 and in their order."""
        import torch

        order = np.argsort(self._validation.lengths, kind="stable")
        batches = map(self._validation.batch, slices(order, VALIDATION_BATCH_SIZE))
        parts = evaluate(self.model, batches, lambda batch: self._classifier.logits(batch).float())
        logits: np.ndarray = torch.cat(parts).cpu().numpy()
        return logits[np.argsort(order)]

    def save(self, folder: Path) -> None:
        """Write the classifier; its encoder is the backbone."""
        self._classifier.save(folder)


def label_indices(labels: Sequence[str | None], known: Sequence[str], where: Path) -> np.ndarray:
    """Return each label's index among the known ones, int64.

    Args:
        labels: of the records of a split.
        known: the classes of the training split.
        where: the split, for the error.

    Raises:
        BadInput: a record has no label, or one that the training split lacks.
    """
    index_of = {label: index for index, label in enumerate(known)}
    for label in labels:
        if label not in index_of:
            raise BadInput(
                f"{where}: the label {label!r} does not stand in the training split: "
                "collect records of it, or drop it"
            )
    return np.array([index_of[label] for label in labels if label is not None], dtype=np.int64)


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
    initial: InitialImages | None = None,
) -> Classification:
    """Read both splits of an image corpus, and put a new head on an encoder.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the model whose encoder to start from; without it, random weights.

    Raises:
        BadSettings: the architecture reads texts.
        BadInput: the corpus holds text, has fewer than two classes, or images that ``initial`` is
            not made for.
    """
    images, held_out = start("classification", PART, architecture, train, validation)
    parts = build(architecture, architecture_settings, images.traits, initial)
    known = known_labels(images.labels, train)
    task = Classification(
        ImageModel(parts, known),
        Examples.of(images.inputs, label_indices(images.labels, known, train)),
        Examples.of(held_out.inputs, label_indices(held_out.labels, known, validation)),
    )
    task.about = {LABELS_OF: train.parent.name}
    return task
