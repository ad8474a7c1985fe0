"""The labelled records of the train and validation splits, as the stage's trainings take them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.models.model import load_backbone

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.contracts.paths import Part
    from tasks.finetune.settings import Settings
    from tasks.models.model import Backbone
    from tasks.models.text import TextBackbone
    from tasks.objectives.classification import Examples


@dataclass(frozen=True)
class Corpus:
    """Records of both splits, those of train first.

    Attributes:
        ids: of the records.
        labels: their classes, by name.
        classes: the names of the classes, sorted.
        examples: inputs and labels of the records.
        num_train: how many of them are of the train split.
    """

    ids: list[str]
    labels: list[str]
    classes: list[str]
    examples: Examples
    num_train: int

    @property
    def validation(self) -> np.ndarray:
        """The places of the validation split's records."""
        return np.arange(self.num_train, len(self.ids))

    def named(self, places: np.ndarray) -> pa.Table:
        """Return the ``id`` and ``label`` of some records."""
        return pa.table(
            {
                "id": pa.array([self.ids[place] for place in places], pa.string()),
                "label": pa.array([self.labels[place] for place in places], pa.string()),
            }
        )


def load_backbone_for(folder: Path, settings: Settings) -> Backbone:
    """Load a backbone that cuts texts to the length that a row asks for.

    The default length is a bound: a backbone with fewer positions lowers it.

    Raises:
        BadInput: the row asks for more tokens than there are positions.
    """
    backbone = load_backbone(folder)
    if backbone.modality == "text":
        texts: TextBackbone = backbone  # type: ignore[assignment]
        if "tokens" in settings.model_fields_set:
            texts.require_positions(settings.tokens)
        texts.cut_to(settings.tokens)
    return backbone


def read_corpus(backbone: Backbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits as the inputs of a classifier.

    Args:
        backbone: the pretrained model.
        splits: ``train`` and ``validation``.

    Raises:
        BadInput: the backbone takes no such records, a label is missing, or stands in the
            validation split alone.
    """
    from tasks.objectives.classification import Examples, known_labels, label_indexes

    modality = backbone.modality
    found = records.modality_of(records.read_schema(splits["train"]))
    if found != modality:
        raise BadInput(
            f"{splits['train']} holds {found}s, but the backbone {backbone.folder} takes "
            f"{modality}s"
        )
    tables = {part: records.read_table(path, ["id", "label"]) for part, path in splits.items()}
    labels = {part: table["label"].to_pylist() for part, table in tables.items()}
    classes = known_labels(labels["train"], splits["train"])
    indices = [label_indexes(labels[part], classes, path) for part, path in splits.items()]
    inputs = backbone.read_inputs(list(splits.values()))
    return Corpus(
        ids=pa.concat_tables(tables.values())["id"].to_pylist(),
        labels=list(chain.from_iterable(labels.values())),
        classes=classes,
        examples=Examples.of(inputs, np.concatenate(indices)),
        num_train=len(indices[0]),
    )
