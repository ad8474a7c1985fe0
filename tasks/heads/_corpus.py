"""The records of train and validation, as a training reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.contracts import records
from tasks.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.models.model import Backbone


@dataclass(frozen=True)
class Corpus:
    """Records of both splits, those of train first.

    Attributes:
        ids: of the records.
        labels: their classes, by name; of a head that has none, empty texts.
        classes: what the head answers with, by name: the classes, sorted.
        examples: inputs and targets of the records.
        num_train: how many of them are of the train split.
    """

    ids: list[str]
    labels: list[str]
    classes: list[str]
    examples: Any
    num_train: int

    @property
    def validation(self) -> np.ndarray:
        """The indices of the validation split's records."""
        return np.arange(self.num_train, len(self.ids))

    def named(self, indices: np.ndarray) -> pa.Table:
        """Return the ``id`` and ``label`` of some records."""
        return pa.table(
            {
                "id": pa.array([self.ids[index] for index in indices], pa.string()),
                "label": pa.array([self.labels[index] for index in indices], pa.string()),
            }
        )


def require_modality(backbone: Backbone, split: Path) -> None:
    """Refuse records that a backbone does not take.

    Raises:
        BadInput: they are of the other modality.
    """
    modality = backbone.modality
    corpus_modality = records.modality_of(records.read_schema(split))
    if corpus_modality != modality:
        raise BadInput(
            f"{split} holds {corpus_modality}s, but the backbone {backbone.folder} takes "
            f"{modality}s"
        )
