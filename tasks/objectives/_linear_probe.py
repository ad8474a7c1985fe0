"""How much a frozen backbone knows of a corpus' labels: a linear probe (Alain and Bengio, 2016).

A logistic regression on what the backbone makes of some training records, of texts the mean of its
tokens' states, tells the labels of validation records. It is measured when the backbone has been
written, so no label reaches a weight. It tells before anything is finetuned whether pretraining
paid.

Dimensions: N records, H features.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import records
from tasks.models.model import load_backbone
from tasks.progress import say
from tasks.training.evaluation import evaluate, slices

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

    from tasks.models.model import Backbone

TOKENS = 128
BATCH_SIZE = 64
FEW_LABELS, DRAWS = 10, 5


def linear_probe(
    folder: Path, splits: tuple[Path, Path], num_records: int, *, supervised: bool
) -> dict[str, float]:
    """Return accuracies on the validation split; nothing where it or the training split has none.

    ``linear_probe_accuracy`` is that of all records probed with, ``linear_probe_few_accuracy``
    the mean over five draws of ten records a class; ``linear_probe_majority_accuracy`` that of
    always answering the largest class.

    Args:
        folder: of the backbone.
        splits: the training and the validation split.
        num_records: of each split so many with a label are taken at most, by chance; 0: none.
        supervised: the backbone has learnt these labels, which the names then say.
    """
    if not num_records:
        return {}
    some = [_some_labelled(path, num_records) for path in splits]
    labels = [np.array([label for _, label in part]) for part in some]
    if len(set(labels[0])) < 2 or not len(labels[1]):
        return {}
    backbone = load_backbone(folder)
    backbone.cut_to(TOKENS)
    features = _features(backbone, [[content for content, _ in part] for part in some])
    generator = np.random.default_rng(0)
    draws = [_few(labels[0], generator) for _ in range(DRAWS)]
    figures = {
        "accuracy": _accuracy(features, labels, np.arange(len(labels[0]))),
        "few_accuracy": float(np.mean([_accuracy(features, labels, draw) for draw in draws])),
        "majority_accuracy": float((labels[1] == _most_frequent(labels[0])).mean()),
    }
    name = "supervised_linear_probe" if supervised else "linear_probe"
    say(
        f"{name.replace('_', ' ')}, validation accuracy: {figures['accuracy']:.4f} from "
        f"{len(labels[0]):,} records, {figures['few_accuracy']:.4f} from {FEW_LABELS} a class, "
        f"{figures['majority_accuracy']:.4f} the largest class"
    )
    return {f"{name}_{what}": value for what, value in figures.items()}


def _some_labelled(path: Path, num_records: int) -> list[tuple[Any, str]]:
    """Return contents and labels of some records; what is held beside is the labels."""
    column = records.modality_of(records.read_schema(path))
    labels = records.read_table(path, ["label"])["label"].to_pylist()
    labelled = np.flatnonzero([label is not None for label in labels])
    chosen = np.random.default_rng(0).permutation(labelled)[:num_records]
    is_chosen = np.zeros(len(labels), dtype=bool)
    is_chosen[chosen] = True
    found: list[tuple[Any, str]] = []
    begin = 0
    for batch in records.read_batches(path):
        places = np.flatnonzero(is_chosen[begin : begin + batch.num_rows])
        part = batch.take(places)
        found += zip(part[column].to_pylist(), part["label"].to_pylist(), strict=True)
        begin += batch.num_rows
    return found


def _features(backbone: Backbone, contents: list[list[Any]]) -> list[Float[np.ndarray, "N H"]]:
    """Return what the backbone makes of some contents, of each list of them, float32."""
    import torch

    model = backbone.model(["any"])
    model.module.to("cuda" if torch.cuda.is_available() else "cpu")
    found = []
    for part in contents:
        inputs = model.inputs(part)
        order = np.argsort(inputs.lengths, kind="stable")
        batches = map(inputs.batch, slices(order, BATCH_SIZE))
        rows = evaluate(
            model.module, batches, lambda batch: model.encoder_features(batch).float().cpu()
        )
        found.append(torch.cat(rows).numpy()[np.argsort(order)])
    return found


def _few(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw some records of each class, as many as there are at most."""
    by_class = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.concatenate([generator.permutation(rows)[:FEW_LABELS] for rows in by_class])


def _accuracy(
    features: list[Float[np.ndarray, "N H"]], labels: list[np.ndarray], rows: np.ndarray
) -> float:
    """Return the accuracy on the second part of a regression that has seen rows of the first.

    All features are scaled by one number: scaled each by itself, small ones would be noise.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    mean = features[0].mean(axis=0)
    scale = np.sqrt(((features[0] - mean) ** 2).mean()) or 1.0
    train, validation = ((part - mean) / scale for part in features)
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.filterwarnings("ignore", message=".*failed to converge")
        probe = LogisticRegression(max_iter=1000).fit(train[rows], labels[0][rows])
        return float((probe.predict(validation) == labels[1]).mean())


def _most_frequent(labels: np.ndarray) -> str:
    names, counts = np.unique(labels, return_counts=True)
    return str(names[counts.argmax()])
