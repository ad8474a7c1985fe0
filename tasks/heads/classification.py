"""Classification: one class a record.

Target: ``label``. Measured, compared and served by the code of classes itself.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.contracts import records
from tasks.heads._corpus import Corpus, require_modality
from tasks.objectives.classification import Classification, Examples, known_labels, label_indices

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.contracts.paths import Part
    from tasks.models.model import Backbone

MODALITIES = ("text", "image")
TASK = Classification


def decides(outputs: list[str]) -> tuple[str, bool]:  # noqa: ARG001 - the same for all classes
    """Return the metric that the epoch is chosen by, and that more of it is better."""
    return "accuracy", True


def read_corpus(backbone: Backbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits as the inputs of a classifier.

    Args:
        backbone: the pretrained model.
        splits: ``train`` and ``validation``.

    Raises:
        BadInput: the backbone takes no such records, a label is missing, or stands in the
            validation split alone.
    """
    require_modality(backbone, splits["train"])
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


def new_model(
    backbone: Backbone,
    outputs: list[str],
    train: Examples,  # noqa: ARG001 - nothing is learnt of them before the first step
    *,
    pretrained: bool,
    dropout: float,
    pooling: str,
) -> Any:
    """Return a classifier with a new head.

    Args:
        backbone: what it is put on.
        outputs: the names of the classes.
        train: what it will be trained on.
        pretrained: begin with the backbone's weights, not with random ones.
        dropout: share of activations dropped.
        pooling: what the head sees of a text.
    """
    return backbone.model(outputs, pretrained=pretrained, dropout=dropout, pooling=pooling)
