"""No objective: a published checkpoint as it is, written as a backbone of this project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import records
from tasks.contracts import settings as contract
from tasks.errors import BadInput
from tasks.models import text
from tasks.models.tokenizer import save_tokenizer
from tasks.objectives._task import Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tasks.models.checkpoint import Checkpoint


class Settings(contract.Settings):
    """There is nothing to choose."""


class Untrained(Task):
    """A model that is kept as it came, with its tokenizer."""

    trains = False

    def __init__(self, initial: Checkpoint) -> None:
        self.model = initial.encoder()
        self.lengths = np.zeros(0, dtype=np.int64)
        self._tokenizer = initial.tokenizer()
        self._positions = initial.positions

    def validate(self) -> dict[str, float]:
        """Return no figures: without an objective there is nothing to measure."""
        return {}

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer."""
        text.save(self.model, folder)
        save_tokenizer(self._tokenizer, folder, self._positions)


def prepare(
    architecture: ModuleType,  # noqa: ARG001 - an entry's signature
    architecture_settings: Any,  # noqa: ARG001
    settings: Settings,  # noqa: ARG001
    train: Path,
    validation: Path,  # noqa: ARG001
    initial: Checkpoint,
) -> Untrained:
    """Load the checkpoint.

    Raises:
        BadInput: the corpus holds images, or the checkpoint cannot be loaded.
    """
    if records.modality_of(records.read_schema(train)) != "text":
        raise BadInput(f"{train} holds images, but checkpoints are of text models: choose another")
    return Untrained(initial)
