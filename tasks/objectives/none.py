"""No objective: a published checkpoint as it is, written as a backbone of this project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import records
from tasks.contracts import settings as contract
from tasks.errors import BadInput
from tasks.inputs.tokenizer import save_tokenizer
from tasks.models import image, text
from tasks.objectives._images import read_images
from tasks.training.task import Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tasks.models.initial.published import Checkpoint


class Settings(contract.Settings):
    """There is nothing to choose."""


class Untrained(Task):
    """A model that is kept as it came, with its tokenizer if it reads texts."""

    trains = False

    def __init__(self, model: Any, modality: records.Modality, initial: Checkpoint) -> None:
        self.model = model
        self.lengths = np.zeros(0, dtype=np.int64)
        self._modality = modality
        self._initial = initial

    def validate(self) -> dict[str, float]:
        """Return no metrics: without an objective there is nothing to measure."""
        return {}

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer."""
        if self._modality == "image":
            image.save(self.model, folder)
        else:
            text.save(self.model, folder)
            save_tokenizer(self._initial.tokenizer(), folder, self._initial.positions)


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,  # noqa: ARG001 - an entry's signature
    settings: Settings,  # noqa: ARG001
    train: Path,
    validation: Path,  # noqa: ARG001
    initial: Checkpoint,
) -> Untrained:
    """Load the checkpoint.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the checkpoint to take.

    Raises:
        BadInput: it does not fit the corpus, or cannot be loaded.
    """
    modality: records.Modality = architecture.BACKBONE.modality
    corpus_modality = records.modality_of(records.read_schema(train))
    if corpus_modality != modality:
        raise BadInput(
            f"{train} holds {corpus_modality}s, but the checkpoint takes {modality}s: choose "
            "another"
        )
    if modality == "text":
        task = Untrained(initial.encoder(), modality, initial)
        if not initial.predicts_next_sentences:
            task.about = text.UNTRAINED_POOLER
        return task
    traits = read_images(train, "none").traits
    return Untrained(initial.image_model(architecture, traits), modality, initial)
