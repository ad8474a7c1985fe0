"""The wide part of a classifier: fitted by itself, and the deep part on what it leaves over.

A linear support vector machine on TF-IDF n-grams converges in seconds; beside the deep part, in a
few epochs of small steps, it would not. Fitted on the records that the deep part is trained on, it
answers nearly all of them rightly, and would leave nothing to learn. So the deep part is trained
beside *held-out* scores::

    records in 5 folds    the SVM of the other four scores each fold
    held-out scores, N K  their scale is that of the least cross entropy
    deep part             cross entropy of its logits + scale x held-out scores
    saved                 the SVM of all records, times scale; validated with it, epoch by epoch

With n-grams of words and of characters, and with naive Bayes, there are several such models: each
has its held-out scores, and its own scale of the least cross entropy of all together. Models of
the same n-grams are linear in the same features: what is saved is their sum, a weight for each
n-gram and class.

One deep training, whose gradient knows how far the wide part can be trusted. The validation split
chooses the epoch as ever, and nothing of the wide part.

Imported where ``wide`` is set alone, so that a change here makes no other row stale.

Dimensions: N records, F n-grams, K labels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import records
from tasks.corpora.scripts import words_are_spaced
from tasks.errors import BadInput
from tasks.finetune.corpus import by_class
from tasks.models.wide import (
    Ngrams,
    NgramScores,
    WideInputs,
    WidePart,
    added,
    joined_logits,
    linear_scores,
)
from tasks.objectives.classification import Examples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jaxtyping import Float, Int
    from torch import Tensor, nn

    from tasks.finetune.settings import Settings, WideSettings
    from tasks.objectives.classification import Learner
    from tasks.training.task import Batch

NUM_FOLDS = 5
# What an SVM says of a class that a record is not of, at its margin: said of one it has not seen.
ABSENT = -1.0
HIGHEST_SCALE = 100.0
# Added to the counts of naive Bayes. Chosen by cross entropy of held-out records of 20 Newsgroups,
# of 0.03, 0.1, 0.3 and 1.
SMOOTHING = 0.03


class WideCorpus:
    """The n-grams of all records of train and validation, and what is fitted on some of them."""

    def __init__(self, splits: Sequence[Path], ids: list[str], settings: Settings) -> None:
        """Count the n-grams of whole splits.

        Args:
            splits: ``train`` and ``validation``.
            ids: of their records.
            settings: of the row, with ``wide``.

        Raises:
            BadInput: no text has such an n-gram.
        """
        from sklearn.feature_extraction.text import CountVectorizer

        assert settings.wide is not None  # noqa: S101 - our own mistake
        self._settings: WideSettings = settings.wide
        self._is_balanced = settings.class_weights == "balanced"
        self._ids = ids
        asked = settings.wide.analyzers_and_sizes() or [_suitable(splits)]
        self._kinds = [Ngrams(*of_one) for of_one in asked]
        self._counts: list[Any] = []
        self._vocabularies: list[np.ndarray] = []
        for ngrams in self._kinds:
            vectorizer = CountVectorizer(**ngrams.options())
            try:
                self._counts.append(vectorizer.fit_transform(_texts(splits)))
            except ValueError:  # an empty vocabulary
                raise BadInput(
                    f"{splits[0]}: no text has an n-gram for finetune.wide: ask for shorter ones, "
                    "or for characters"
                ) from None
            self._vocabularies.append(vectorizer.get_feature_names_out())
        self._last: tuple[bytes, Wide] | None = None

    def fit(self, train: Examples, num_labels: int) -> Wide:
        """Fit the wide part on some of the records.

        Args:
            train: those records; its indices are of the records of both splits.
            num_labels: K.

        Raises:
            BadInput: no n-gram stands in as many of them as ``minimum_records``.
        """
        key = train.indices.tobytes()
        if self._last is None or self._last[0] != key:  # the twin has the records of the model
            self._last = key, self._fit(train, num_labels)
        return self._last[1]

    def _fit(self, train: Examples, num_labels: int) -> Wide:
        rows, labels = train.indices, train.labels
        models = self._models(rows, labels, num_labels)
        if not all(len(model.columns) for model in models):
            raise BadInput(
                f"finetune.wide: no n-gram stands in {self._settings.minimum_records} of the "
                f"{len(rows)} records to train on: lower finetune.wide.minimum_records"
            )
        shape = (len(rows), num_labels)
        held_out = [np.full(shape, ABSENT, dtype=np.float32) for _ in models]
        folds = self._folds(rows, labels)
        for fold in range(folds.max() + 1):
            rest, out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            if len(rest):
                others = self._models(rows[rest], labels[rest], num_labels)
                for scores, model in zip(held_out, others, strict=True):
                    scores[out] = model.scores(self._counts[model.kind][rows[out]])
        scales = best_scales(held_out, labels, self._weights_of(labels, num_labels))
        scaled = [model.scaled(scale) for model, scale in zip(models, scales, strict=True)]
        linears = [
            sum_of([model for model in scaled if model.kind == kind])
            for kind in range(len(self._kinds))
        ]
        scores = added(linear.scores(self._counts[linear.kind]) for linear in linears)
        scores[rows] = added(
            np.float32(scale) * each for scale, each in zip(scales, held_out, strict=True)
        )
        return Wide(WidePart([self._scores_of(linear) for linear in linears]), scores)

    def _scores_of(self, linear: Linear) -> NgramScores:
        names = self._vocabularies[linear.kind][linear.columns]
        return NgramScores(
            self._kinds[linear.kind],
            [str(ngram) for ngram in names],
            linear.tfidf.idf_,
            linear.weights,
            linear.biases,
        )

    def _folds(self, rows: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"]) -> np.ndarray:
        """Return in which fold each record is held out; every class is spread evenly."""
        ids = [self._ids[row] for row in rows]
        of_class = by_class(ids, [str(label) for label in labels], "wide")
        dealt = list(chain.from_iterable(of_class.values()))
        folds = np.empty(len(rows), dtype=np.int64)
        folds[dealt] = np.arange(len(dealt)) % min(NUM_FOLDS, len(dealt))
        return folds

    def _weights_of(self, labels: Int[np.ndarray, " N"], num_labels: int) -> np.ndarray:
        """Return how much each record counts."""
        if not self._is_balanced:
            return np.ones(len(labels))
        counts = np.bincount(labels, minlength=num_labels)
        return len(labels) / (num_labels * counts[labels])

    def _models(
        self, rows: Int[np.ndarray, " N"], labels: Int[np.ndarray, " N"], num_labels: int
    ) -> list[Linear]:
        """Fit all models on some records: as many, in the same order, whatever the records are."""
        return [
            model
            for kind, counts in enumerate(self._counts)
            for model in self._models_of(kind, counts[rows], labels, num_labels)
        ]

    def _models_of(
        self, kind: int, counts: Any, labels: Int[np.ndarray, " N"], num_labels: int
    ) -> list[Linear]:
        """Fit a one-vs-rest SVM, and naive Bayes if asked for, on the TF-IDF of one kind."""
        from sklearn.feature_extraction.text import TfidfTransformer
        from sklearn.naive_bayes import ComplementNB
        from sklearn.svm import LinearSVC

        columns = np.flatnonzero(counts.getnnz(axis=0) >= self._settings.minimum_records)
        weights = np.zeros((len(columns), num_labels), dtype=np.float32)
        biases = np.full(num_labels, ABSENT, dtype=np.float32)
        known = np.unique(labels)
        tfidf = TfidfTransformer(sublinear_tf=True)
        if not len(columns) or len(known) == 1:
            biases[known] = -ABSENT if len(known) == 1 else ABSENT
            nothing = Linear(kind, columns, tfidf, weights, biases)
            return [nothing, nothing] if self._settings.naive_bayes else [nothing]
        features = tfidf.fit_transform(counts[:, columns])
        svm = LinearSVC(random_state=0, class_weight="balanced" if self._is_balanced else None)
        with warnings.catch_warnings():
            # Not converged to the last digit is good enough, and not news to the user.
            warnings.filterwarnings("ignore", message=".*failed to converge")
            svm.fit(features, labels)
        of_two = len(known) == 2  # scikit-learn then scores the second class alone
        weights[:, known] = np.concatenate([-svm.coef_, svm.coef_] if of_two else [svm.coef_]).T
        biases[known] = [-svm.intercept_[0], svm.intercept_[0]] if of_two else svm.intercept_
        models = [Linear(kind, columns, tfidf, weights, biases)]
        if self._settings.naive_bayes:
            logs = ComplementNB(alpha=SMOOTHING).fit(features, labels).feature_log_prob_
            bayes = np.zeros_like(weights)
            bayes[:, known] = (logs - logs.mean(axis=0)).T
            absent = np.full(num_labels, ABSENT, dtype=np.float32)
            absent[known] = 0
            models.append(Linear(kind, columns, tfidf, bayes, absent))
        return models


@dataclass(frozen=True)
class Linear:
    """A linear model of the TF-IDF of some columns of the counts."""

    kind: int
    """Which counts: those of the first kind of n-grams, or of the second."""
    columns: Int[np.ndarray, " F"]
    tfidf: Any
    weights: Float[np.ndarray, "F K"]
    biases: Float[np.ndarray, " K"]

    def scaled(self, scale: float) -> Linear:
        """Return one whose scores are so many times as high."""
        factor = np.float32(scale)
        return replace(self, weights=self.weights * factor, biases=self.biases * factor)

    def scores(self, counts: Any) -> Float[np.ndarray, "N K"]:
        """Return its scores of records by their counts of all n-grams of its kind."""
        if not hasattr(self.tfidf, "idf_"):  # nothing was learnt but the biases
            return np.tile(self.biases, (counts.shape[0], 1))
        features = self.tfidf.transform(counts[:, self.columns])
        return linear_scores(features, self.weights, self.biases)


def sum_of(models: list[Linear]) -> Linear:
    """Return the one model of the same columns whose scores are the sum of several ones'."""
    return replace(
        models[0],
        weights=added(model.weights for model in models),
        biases=added(model.biases for model in models),
    )


def best_scales(
    held_out: list[Float[np.ndarray, "N K"]], labels: Int[np.ndarray, " N"], weights: np.ndarray
) -> list[float]:
    """Return the factors whose products with the scores of several models, added, are logits.

    Args:
        held_out: each model's scores of records that it was not fitted on.
        labels: the class of each record.
        weights: how much each record counts.
    """
    if len(held_out) == 1:
        return [best_scale(held_out[0], labels, weights)]
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    scores = np.stack(held_out).astype(np.float64)  # M N K
    records = np.arange(len(labels))
    total = weights.sum()

    def cross_entropy(scales: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(np.tensordot(scales, scores, axes=1), axis=1)
        expected = np.einsum("nk,mnk->mn", np.exp(logs), scores)
        slopes = (expected - scores[:, records, labels]) @ weights
        return -float(weights @ logs[records, labels]) / total, slopes / total

    bounds = [(0, HIGHEST_SCALE)] * len(scores)
    start = np.full(len(scores), 1 / len(scores))
    found = minimize(cross_entropy, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return [float(scale) for scale in found.x]


def best_scale(
    scores: Float[np.ndarray, "N K"], labels: Int[np.ndarray, " N"], weights: np.ndarray
) -> float:
    """Return the factor that makes scores logits: that of the least cross entropy.

    Args:
        scores: of records that they were not fitted on.
        labels: the class of each.
        weights: how much each counts.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def cross_entropy(scale: float) -> float:
        logs = log_softmax(scale * scores.astype(np.float64), axis=1)
        return -float(weights @ logs[np.arange(len(labels)), labels])

    found = minimize_scalar(cross_entropy, bounds=(0, HIGHEST_SCALE), method="bounded")
    return float(found.x)


@dataclass(frozen=True)
class Wide:
    """A fitted wide part."""

    part: WidePart
    scores: Float[np.ndarray, "N K"]
    """Of all records; held-out ones of those that it was fitted on."""

    def beside(self, deep: Examples, indices: Int[np.ndarray, " N"]) -> Examples:
        """Return examples of the deep part with the wide one's scores beside them.

        Args:
            deep: the examples as the deep part takes them.
            indices: which records of both splits they are.
        """
        scores = np.zeros((len(deep.inputs.lengths), self.scores.shape[1]), dtype=np.float32)
        scores[deep.indices] = self.scores[indices]
        return replace(deep, inputs=WideInputs(deep.inputs, scores))


class WideLearner:
    """A deep part that learns beside a wide one."""

    def __init__(self, deep: Learner, part: WidePart) -> None:
        self._deep = deep
        self._part = part

    @property
    def module(self) -> nn.Module:
        """What is trained."""
        return self._deep.module

    def logits(self, batch: Batch) -> Float[Tensor, "N K"]:
        """Return the logits of both parts together."""
        return joined_logits(self._deep, batch)

    def save(self, folder: Path) -> None:
        """Write both parts."""
        self._deep.save(folder)
        self._part.save(folder)


def _suitable(splits: Sequence[Path]) -> tuple[str, int, int]:
    """Return what the linear baseline takes for such texts."""
    return ("word", 1, 2) if words_are_spaced(list(_texts(splits))) else ("char", 1, 3)


def _texts(splits: Sequence[Path]) -> Iterator[str]:
    for path in splits:
        for batch in records.read_batches(path):
            yield from batch.column("text").to_pylist()
