"""A head on a backbone of texts: what a finished model is made of, and how it answers.

It is kept as a classifier of texts is, with ``head`` in ``downstream.json``, and ``facts`` that the
head has learnt beside weights (a scale, a threshold).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tasks.contracts import registry
from tasks.errors import BadInput
from tasks.models.classifier import batches_of_like_length
from tasks.models.model import DESCRIPTION, describe, description, load_backbone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import ModuleType

    from torch import Tensor, nn

    from tasks.inputs.documents import TokenInputs
    from tasks.metrics.scores import Floats
    from tasks.models.text import TextBackbone, TextModel

    Measure = Callable[[Floats, Any], Floats]

HEADS = "tasks.heads"


class HeadInputs(Protocol):
    """Records as a head reads them."""

    @property
    def lengths(self) -> np.ndarray:
        """The cost of each."""

    def batch(self, indices: np.ndarray) -> dict[str, Any]:
        """Return the tensors of some; with their targets, where they are known."""


@dataclass(frozen=True)
class TextInputs:
    """Texts, and perhaps the targets of each."""

    texts: TokenInputs
    targets: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        """The cost of each."""
        return self.texts.lengths

    def batch(self, indices: np.ndarray) -> dict[str, Any]:
        """Return the tensors of some, and their targets."""
        import torch

        batch = self.texts.batch(indices)
        if self.targets is not None:
            batch["targets"] = torch.from_numpy(self.targets[indices])
        return batch


class HeadModel:
    """A model of texts that answers with something else than one class.

    Attributes:
        module: ``encoder``, ``head``, and perhaps ``reader``.
        name: the head's.
        outputs: what the head answers with, by name.
        facts: what the head has learnt beside weights.
    """

    modality = "text"

    def __init__(
        self, backbone: TextBackbone, inner: TextModel, name: str, facts: dict[str, Any]
    ) -> None:
        """Take over a classifier's parts.

        Args:
            backbone: what it is put on.
            inner: a classifier on it, with as many labels as there are outputs.
            name: the head's.
            facts: what the head knows beside weights.
        """
        self.inner = inner
        self._backbone = backbone
        self.module = inner.module
        self.name = name
        self.facts = facts
        self.outputs: list[str] = inner.labels

    @property
    def head(self) -> ModuleType:
        """What is predicted."""
        return registry.load(HEADS, self.name, DESCRIPTION)

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.inner.encoder

    def logits(self, batch: dict[str, Tensor]) -> Tensor:
        """Return what the head's loss is of: N K, or N W K of words."""
        logits: Tensor = self.head.logits(self, batch)
        return logits

    def states(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the state of each token, N T H."""
        states: Tensor = self.inner.read(batch).last_hidden_state
        return states

    def save(self, folder: Path) -> None:
        """Write encoder and head, the tokenizer, and what they are."""
        self.inner.save_apart(folder)
        describe(
            folder,
            architecture=self._backbone.architecture,
            modality=self.modality,
            labels=self.outputs,
            head=self.name,
            facts=self.facts,
            served=self.head.output_columns(),
            **({"reads": list(self.head.COLUMNS)} if hasattr(self.head, "COLUMNS") else {}),
        )


class Predictor:
    """A finished model on the device that computes its answers."""

    def __init__(self, model: HeadModel) -> None:
        import torch

        self.model = model
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        model.module.to(self.device).eval()

    def answers(self, contents: Sequence[Any]) -> list[Any]:
        """Return the decoded prediction of each record, as the head reads them."""
        if not contents:
            return []
        inputs: HeadInputs = self.model.head.inputs(self.model.inner, contents)
        return predict(self.model, inputs, self.device)

    def served(self, records: Sequence[Any]) -> list[dict[str, Any]]:
        """Return the served row of each raw record.

        Raises:
            BadInput: one is not what the head reads.
        """
        head = self.model.head
        contents = [head.content_of(record) for record in records]
        for number, (record, content) in enumerate(zip(records, contents, strict=True)):
            if content is None:
                raise BadInput(f"record {number} is not {head.READS} but {record!r:.80}")
        rows: list[dict[str, Any]] = head.served(contents, self.answers(contents))
        return rows


def predict(model: HeadModel, inputs: HeadInputs, device: str) -> list[Any]:
    """Return the decoded prediction of each record.

    Args:
        model: on its device, in evaluation mode.
        inputs: the records.
        device: torch's name of it.

    Raises:
        BadInput: an output is NaN or infinite.
    """
    import torch

    answers: list[Any] = [None] * len(inputs.lengths)
    with torch.inference_mode():
        for chosen in batches_of_like_length(inputs.lengths):
            batch = {name: value.to(device) for name, value in inputs.batch(chosen).items()}
            logits = model.logits(batch).float().cpu().numpy()
            if not np.isfinite(logits).all():
                raise BadInput(
                    "the model gives an output that is not a number: its training diverged; lower "
                    "finetune.learning_rate"
                )
            for place, answer in zip(chosen, model.head.decode(model, logits, batch), strict=True):
                answers[place] = answer
    return answers


def load_predictor(folder: Path) -> Predictor:
    """Load the model in ``data/finetune/<model>/model`` or ``…/twin``.

    Raises:
        BadInput: the folder holds no model of this project.
    """
    about = description(folder)
    backbone: Any = load_backbone(folder)
    head = registry.load(HEADS, about["head"], str(folder / DESCRIPTION))
    if hasattr(head, "load_predictor"):
        own: Predictor = head.load_predictor(backbone, about)
        return own
    inner: TextModel = backbone.finished_model(about["labels"])
    return Predictor(HeadModel(backbone, inner, about["head"], about["facts"]))
