"""The labelled records of the train and validation splits, as the stage's trainings take them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.models.folder import architecture_of, description

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.contracts.paths import Part
    from tasks.finetune.settings import Settings
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


def require_positions(backbone: Path, settings: Settings) -> None:
    """Check that texts of the length that a row asks for fit into its backbone.

    The default length is a bound: a backbone with fewer positions lowers it.

    Raises:
        BadInput: they do not.
    """
    family = architecture_of(backbone).family
    if family.MODALITY == "text" and "tokens" in settings.model_fields_set:
        family.require_positions(backbone, settings.tokens)


def read_corpus(backbone: Path, splits: dict[Part, Path], folder: Path, tokens: int) -> Corpus:
    """Read both splits as the inputs of a classifier.

    Args:
        backbone: the pretrained model.
        splits: ``train`` and ``validation``.
        folder: of the classifier; gets what turns contents into inputs.
        tokens: texts are cut to so many.

    Raises:
        BadInput: the backbone takes no such records, a label is missing, or stands in the
            validation split alone.
    """
    from tasks.objectives.classification import Examples, known_labels, label_indexes

    modality = description(backbone)["modality"]
    found = records.modality_of(records.read_schema(splits["train"]))
    if found != modality:
        raise BadInput(
            f"{splits['train']} holds {found}s, but the backbone {backbone} takes {modality}s"
        )
    tables = {part: records.read_table(path, ["id", "label"]) for part, path in splits.items()}
    labels = {part: table["label"].to_pylist() for part, table in tables.items()}
    classes = known_labels(labels["train"], splits["train"])
    indices = [label_indexes(labels[part], classes, path) for part, path in splits.items()]
    family = architecture_of(backbone).family
    family.copy_inputs(backbone, folder, tokens)
    inputs = family.read_inputs(list(splits.values()), folder)
    return Corpus(
        ids=pa.concat_tables(tables.values())["id"].to_pylist(),
        labels=list(chain.from_iterable(labels.values())),
        classes=classes,
        examples=Examples.of(inputs, np.concatenate(indices)),
        num_train=len(indices[0]),
    )
