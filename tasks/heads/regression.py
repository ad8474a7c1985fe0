"""Regression: one number a record.

Target: ``value``. The head learns the values standardised by the training split's mean and
deviation, by their squared error; with ``finetune.distribution`` how probable its values are
(``_distribution``). The mean absolute error decides.

Dimensions: S resamples, N records, R ranges of values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.errors import BadInput
from tasks.heads._corpus import Corpus, require_modality
from tasks.heads._model import HeadModel, TextInputs
from tasks.heads._targets import is_text, read_targets
from tasks.heads._task import HeadExamples, HeadTask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from tasks.contracts.paths import Part
    from tasks.heads._model import Measure
    from tasks.metrics.scores import Floats
    from tasks.models.text import TextBackbone, TextModel

MODALITIES = ("text",)
TARGETS = ("value",)
METRICS = {
    "mae": "mean absolute error",
    "rmse": "root of the mean squared error",
    "r2": "R², the share of the variance that is explained",
    "spearman": "Spearman's rank correlation",
}
LESS_IS_BETTER = frozenset({"mae", "rmse"})
READS = "a text"
TASK = HeadTask


def contents_of(targets: pa.Table) -> list[str]:
    """Return what the model reads of each record."""
    texts: list[str] = targets["text"].to_pylist()
    return texts


def decides(outputs: list[str]) -> tuple[str, bool]:  # noqa: ARG001 - there is one output
    """Return the metric that decides, and that less of it is better."""
    return "mae", False


def true_of(targets: pa.Table) -> list[float]:
    """Return what is true of each record, in the form of an answer."""
    values: list[float] = targets["value"].to_pylist()
    return values


def inputs(model: TextModel, contents: Sequence[str]) -> TextInputs:
    """Return raw texts as the model reads them."""
    return TextInputs(model.inputs(contents))


def read_corpus(backbone: TextBackbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits, with their values.

    Raises:
        BadInput: a record has no value, or all of train have the same.
    """
    require_modality(backbone, splits["train"])
    tables = {part: read_targets(path, TARGETS) for part, path in splits.items()}
    if len(set(tables["train"]["value"].to_pylist())) < 2:
        raise BadInput(f"{splits['train']}: all values are the same: nothing can be learnt")
    together = pa.concat_tables(tables.values())
    values = true_of(together)
    read = TextInputs(backbone.read_inputs(list(splits.values())), np.array(values, np.float32))
    return Corpus(
        ids=together["id"].to_pylist(),
        labels=[""] * together.num_rows,
        classes=["value"],
        examples=HeadExamples.of(read, values),
        num_train=tables["train"].num_rows,
    )


def new_model(
    backbone: TextBackbone,
    outputs: list[str],
    train: HeadExamples,
    *,
    pretrained: bool,
    dropout: float,
    pooling: str,
    distribution: str | None = None,
) -> HeadModel:
    """Return a model with a new head, which knows mean and deviation of what it will learn.

    Args:
        backbone: what it is put on.
        outputs: ``["value"]``.
        train: what it will be trained on.
        pretrained: begin with the backbone's weights, not with random ones.
        dropout: share of activations dropped.
        pooling: what the head sees of a text.
        distribution: what of the values' distribution it answers with, where it learns that.
    """
    if distribution is not None:
        from tasks.heads import _distribution

        facts = _distribution.facts_of(train.true, distribution)
        outputs = [repr(value) for value in facts["values"]]
    else:
        values = np.array(train.true)
        facts = {"mean": float(values.mean()), "deviation": float(values.std()) or 1.0}
    inner = backbone.model(outputs, pretrained=pretrained, dropout=dropout, pooling=pooling)
    return HeadModel(backbone, inner, "regression", facts)


def logits(model: HeadModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the standardised values, N 1, or the logits of their ranges, N R."""
    return model.inner.logits(batch)


def num_terms(batch: dict[str, Tensor]) -> int:
    """Return how many records the loss is of."""
    return len(batch["targets"])


def loss(model: HeadModel, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Return the sum of the squared errors of standardised values, or of cross entropies."""
    if "distribution" in model.facts:
        from tasks.heads import _distribution

        return _distribution.loss(model.facts, logits, batch["targets"])
    wanted = (batch["targets"].float() - model.facts["mean"]) / model.facts["deviation"]
    return ((logits[:, 0] - wanted) ** 2).sum()


def decode(model: HeadModel, logits: np.ndarray, batch: dict[str, Tensor]) -> list[float]:  # noqa: ARG001
    """Return the predicted value of each record of a batch."""
    if "distribution" in model.facts:
        from tasks.heads import _distribution

        return _distribution.decode(model.facts, logits)
    values = logits[:, 0].astype(np.float64) * model.facts["deviation"] + model.facts["mean"]
    return [float(value) for value in values]


def prepare(true: list[float], predicted: list[float], outputs: list[str]) -> np.ndarray:  # noqa: ARG001
    """Return true and predicted values, 2 N, for ``measures``."""
    return np.array([true, predicted], dtype=float)


def measures(outputs: list[str]) -> dict[str, Measure]:  # noqa: ARG001 - there is one output
    """Return the metrics by name, the one that decides first.

    Each gives its values, S, from how often each record counts, S N, and what ``prepare`` returns.
    """
    return {"mae": _mae, "rmse": _rmse, "r2": _r2, "spearman": _spearman}


def _mae(counts: Floats, prepared: np.ndarray) -> Floats:
    errors: Floats = counts @ np.abs(prepared[0] - prepared[1]) / counts.sum(axis=1)
    return errors


def _rmse(counts: Floats, prepared: np.ndarray) -> Floats:
    return np.sqrt(counts @ (prepared[0] - prepared[1]) ** 2 / counts.sum(axis=1))


def _r2(counts: Floats, prepared: np.ndarray) -> Floats:
    true, predicted = prepared
    total = counts.sum(axis=1)
    # About the middle, so that no digits are lost where the values are far from zero.
    centred = true - true.mean()
    variation = counts @ centred**2 - (counts @ centred) ** 2 / total
    defined = variation > 1e-12 * total
    errors = counts @ (true - predicted) ** 2
    share: Floats = np.full(len(counts), np.nan)
    np.divide(errors, variation, out=share, where=defined)
    return 1 - share


def _spearman(counts: Floats, prepared: np.ndarray) -> Floats:
    return _correlation(counts, *(_ranks(counts, values) for values in prepared))


def _ranks(counts: Floats, values: np.ndarray) -> Floats:
    """Return the mean rank of each record among the resample's, S N; equals share theirs."""
    order = np.argsort(values, kind="stable")
    begins = np.flatnonzero(np.diff(values[order], prepend=-np.inf) > 0)
    in_group = np.add.reduceat(counts[:, order], begins, axis=1)
    middle = np.cumsum(in_group, axis=1) - in_group / 2
    group = np.zeros(len(values), dtype=int)
    group[order] = np.searchsorted(begins, np.arange(len(values)), side="right") - 1
    ranks: Floats = middle[:, group]
    return ranks


def _correlation(counts: Floats, one: Floats, other: Floats) -> Floats:
    total = counts.sum(axis=1, keepdims=True)
    one = one - (counts * one).sum(axis=1, keepdims=True) / total
    other = other - (counts * other).sum(axis=1, keepdims=True) / total
    covariance = (counts * one * other).sum(axis=1)
    scale = (counts * one**2).sum(axis=1) * (counts * other**2).sum(axis=1)
    correlation: Floats = np.full(len(counts), np.nan)
    np.divide(covariance, np.sqrt(scale), out=correlation, where=scale > 0)
    return correlation


def baselines(train: pa.Table, test: pa.Table) -> dict[str, list[float]]:
    """Return what needs no pretraining: ridge regression on TF-IDF, and the median.

    Args:
        train: ``text`` and ``value`` of the records that the model was trained on.
        test: ``text`` of the test records.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    values = true_of(train)
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    ridge = make_pipeline(features, Ridge(solver="lsqr", tol=1e-6))
    try:
        ridge.fit(train["text"].to_pylist(), values)
        linear = [float(value) for value in ridge.predict(test["text"].to_pylist())]
    except ValueError:  # no word stands in two texts
        linear = [float(np.mean(values))] * test.num_rows
    return {"linear": linear, "simple": [float(np.median(values))] * test.num_rows}


BASELINES = {"linear": "ridge regression on TF-IDF", "simple": "the median"}


def predicted_type() -> pa.DataType:
    """Return the type of an answer in ``predictions.parquet``."""
    return pa.float64()


def slices_by(true: list[float]) -> dict[str, np.ndarray]:
    """Return the records with low, middle and high values."""
    values = np.array(true)
    low, high = np.quantile(values, [1 / 3, 2 / 3], method="lower")
    return {
        f"value up to {low:g}": values <= low,
        f"value {low:g} to {high:g}": (values > low) & (values <= high),
        f"value over {high:g}": values > high,
    }


def errors(true: list[float], predicted: list[float]) -> np.ndarray:
    """Return how wrong each answer is, N; 0 is right."""
    return np.abs(np.array(true) - np.array(predicted))


def shown(text: str, answer: Any, beside: Sequence[Any]) -> str:
    """Return an answer for a page."""
    del text, beside
    return f"{answer:.3g}"


def content_of(record: Any) -> str | None:
    """Return what the model reads of a raw record; None of what is none."""
    return record if is_text(record) else None


def output_columns() -> dict[str, str]:
    """Return the columns that are served, and the type of each."""
    return {"value": "double"}


def served(contents: Sequence[str], answers: list[float]) -> list[dict[str, Any]]:
    """Return the served row of each record."""
    return [{"value": answer} for _, answer in zip(contents, answers, strict=True)]
