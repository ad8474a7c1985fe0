"""How a head learns: its loss on batches of records, its metrics on the validation split."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tasks.metrics.scores import once_each
from tasks.training.evaluation import evaluate, slices
from tasks.training.task import Batch, ExampleRandom, Task

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from tasks.heads._model import HeadInputs, HeadModel

VALIDATION_BATCH_SIZE = 64


@dataclass(frozen=True)
class HeadExamples:
    """Records with their targets, or some of them.

    Attributes:
        inputs: the records as a head reads them, with their targets.
        targets: what is true of each record, in the form of an answer.
        indices: which of the inputs these are.
    """

    inputs: HeadInputs
    targets: list[Any]
    indices: np.ndarray

    @classmethod
    def of(cls, inputs: HeadInputs, targets: list[Any]) -> Self:
        """Return all records."""
        return cls(inputs, targets, np.arange(len(targets)))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.indices)

    @property
    def lengths(self) -> np.ndarray:
        """The cost of each example."""
        lengths: np.ndarray = self.inputs.lengths[self.indices]
        return lengths

    @property
    def true(self) -> list[Any]:
        """What is true of each of these."""
        return [self.targets[index] for index in self.indices]

    def take(self, indices: np.ndarray) -> Self:
        """Return some of the examples."""
        return replace(self, indices=self.indices[indices])

    def batch(self, indices: np.ndarray) -> Batch:
        """Return inputs and targets of some examples."""
        return self.inputs.batch(self.indices[indices])


class HeadTask(Task):
    """The task: records with targets, and a head's loss on them."""

    def __init__(self, learner: HeadModel, train: HeadExamples, validation: HeadExamples) -> None:
        """Take a model and its examples.

        Args:
            learner: what learns.
            train: what it is trained on.
            validation: what ``validate`` is about.
        """
        self.model = learner.module
        self.lengths = train.lengths
        self._learner = learner
        self._train = train
        self._validation = validation

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:  # noqa: ARG002
        """Return inputs and targets of some training examples; nothing about them is random."""
        import torch

        batch = self._train.batch(indices)
        return {**batch, "counts": torch.tensor([float(self._learner.head.num_terms(batch))])}

    def loss(self, batch: Batch) -> Tensor:
        """Return the head's loss, divided by the number of its terms."""
        head = self._learner.head
        loss: Tensor = head.loss(self._learner, self._learner.logits(batch).float(), batch)
        return loss / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return loss and metrics on the validation examples, in fp32.

        What they decide beside the epoch is decided anew: each epoch is judged at its best.
        A metric that is not defined is left out, as a correlation with answers all the same.
        """
        logits, batches, order = self._forward()
        learner, head = self._learner, self._learner.head
        if hasattr(head, "choose"):
            head.choose(learner, logits, batches)
        answers: list[Any] = []
        loss = terms = 0.0
        for some, batch in zip(logits, batches, strict=True):
            loss += float(head.loss(learner, some, batch))
            terms += head.num_terms(batch)
            answers += head.decode(learner, some.numpy(), batch)
        in_order = [answers[place] for place in np.argsort(order)]
        prepared = head.prepare(self._validation.true, in_order, learner.outputs)
        once = once_each(len(in_order))
        measured = {
            name: float(measure(once, prepared)[0])
            for name, measure in head.measures(learner.outputs).items()
        }
        decides, _ = head.decides(learner.outputs)
        defined = {
            name: value
            for name, value in measured.items()
            if name == decides or not math.isnan(value)
        }
        return {"loss": loss / terms, **defined}

    def _forward(self) -> tuple[list[Tensor], list[Batch], np.ndarray]:
        """Return the logits of the validation examples, batch by batch, and their order."""
        order = np.argsort(self._validation.lengths, kind="stable")
        batches = [self._validation.batch(some) for some in slices(order, VALIDATION_BATCH_SIZE)]
        logits = evaluate(
            self.model, batches, lambda batch: self._learner.logits(batch).float().cpu()
        )
        return logits, batches, order

    def save(self, folder: Path) -> None:
        """Write the model; what the validation split decides beside the epoch is decided now."""
        if hasattr(self._learner.head, "choose"):
            logits, batches, _ = self._forward()
            self._learner.head.choose(self._learner, logits, batches)
        self._learner.save(folder)
