"""The labelled records of train and validation, and which of them a training is given."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.objectives.classification import Examples, known_labels, label_indices
from tasks.progress import say

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.contracts.paths import Part
    from tasks.models.model import Backbone


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


def read_corpus(backbone: Backbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits as the inputs of a classifier.

    Args:
        backbone: the pretrained model.
        splits: ``train`` and ``validation``.

    Raises:
        BadInput: the backbone takes no such records, a label is missing, or stands in the
            validation split alone.
    """
    modality = backbone.modality
    corpus_modality = records.modality_of(records.read_schema(splits["train"]))
    if corpus_modality != modality:
        raise BadInput(
            f"{splits['train']} holds {corpus_modality}s, but the backbone {backbone.folder} takes "
            f"{modality}s"
        )
    tables = {part: records.read_table(path, ["id", "label"]) for part, path in splits.items()}
    labels = {part: table["label"].to_pylist() for part, table in tables.items()}
    classes = known_labels(labels["train"], splits["train"])
    indices = [label_indices(labels[part], classes, path) for part, path in splits.items()]
    inputs = backbone.read_inputs(list(splits.values()))
    return Corpus(
        ids=pa.concat_tables(tables.values())["id"].to_pylist(),
        labels=list(chain.from_iterable(labels.values())),
        classes=classes,
        examples=Examples.of(inputs, np.concatenate(indices)),
        num_train=len(indices[0]),
    )


def choose_few(
    ids: Sequence[str], labels: Sequence[str], wanted: int | float, seed: int
) -> np.ndarray:
    """Return the indices of the records that a few-label study trains on, ascending, int64.

    A smaller choice is contained in every larger one.

    Args:
        ids: of the records.
        labels: their classes.
        wanted: so many records of each class; or, below 1, such a share of them, at least one;
            0 for all.
        seed: the ``seed`` of ``params.yaml``.
    """
    if not wanted:
        return np.arange(len(ids))
    chosen: list[int] = []
    for indices in by_class(ids, labels, f"labels:{seed}").values():
        num_wanted = wanted if wanted >= 1 else max(1, int(wanted * len(indices) + 0.5))
        chosen += indices[: int(num_wanted)]
    return np.sort(np.array(chosen, dtype=np.int64))


def say_what_lacks(labels: Sequence[str], wanted: int | float) -> None:
    """Name the classes that have fewer records than are wanted; all of theirs are used."""
    for label, count in sorted(Counter(labels).items()):
        if count < wanted:
            say(f"labels: {wanted}, but the class {label!r} has {count} records: all are used")


def by_class(ids: Sequence[str], labels: Sequence[str], purpose: str) -> dict[str, list[int]]:
    """Return the indices of each class' records, in an order that only id and purpose decide.

    It is that of a hash, so it depends neither on the row nor on the order of the records.

    Args:
        ids: of the records.
        labels: their classes.
        purpose: another one gives another order.
    """

    def rank(index: int) -> tuple[bytes, int]:
        return hashlib.sha256(f"{purpose}:{ids[index]}".encode()).digest(), index

    indices: dict[str, list[int]] = {label: [] for label in sorted(set(labels))}
    for index in sorted(range(len(ids)), key=rank):
        indices[labels[index]].append(index)
    return indices
