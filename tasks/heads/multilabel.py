"""Multilabel: any number of labels a record, none included.

Target: ``labels``. Each label is learnt by itself (sigmoid, binary cross entropy); a record has
those whose score is over a threshold. That is one for all labels, the one with the best micro F1 on
the validation split: no thresholds of the labels' own give a better micro F1 where the scores are
probabilities (Koyejo et al., 2015, "Consistent multilabel classification"), and one for each would
be chosen by a handful of records where labels are rare. The micro F1 decides.

Dimensions: S resamples, N records, K labels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
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
TARGETS = ("labels",)
METRICS = {
    "micro_f1": "F1 over all labels (micro)",
    "macro_f1": "mean of the labels' F1 (macro)",
    "subset_accuracy": "share of records with all labels right and no other",
    "mean_average_precision": "mean average precision of the labels' scores",
}
LESS_IS_BETTER: frozenset[str] = frozenset()
SHARES = frozenset({"subset_accuracy"})
"""Metrics that are a share of the records."""
BASELINES = {
    "linear": "a logistic regression on TF-IDF for each label",
    "simple": "the most frequent set of labels",
}
READS = "a text"
TASK = HeadTask
THRESHOLD = 0.5
"""Until the validation split has chosen one."""
MINIMUM_OF_BASELINE = 20
"""Records from which a fifth is held out, to choose the linear baseline's threshold by."""

Answer = dict[str, Any]
"""``labels``, those a record has; and ``scores``, a ``label`` and its ``score`` for each label that
the model knows, none of what is true."""


def contents_of(targets: pa.Table) -> list[str]:
    """Return what the model reads of each record."""
    texts: list[str] = targets["text"].to_pylist()
    return texts


def decides(outputs: list[str]) -> tuple[str, bool]:  # noqa: ARG001 - the same for all labels
    """Return the metric that decides, and that more of it is better."""
    return "micro_f1", True


def true_of(targets: pa.Table) -> list[Answer]:
    """Return what is true of each record, in the form of an answer."""
    return [{"labels": labels, "scores": []} for labels in targets["labels"].to_pylist()]


def inputs(model: TextModel, contents: Sequence[str]) -> TextInputs:
    """Return raw texts as the model reads them."""
    return TextInputs(model.inputs(contents))


def read_corpus(backbone: TextBackbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits, with their labels.

    Raises:
        BadInput: a record has no list of labels, or all of train have the same ones.
    """
    require_modality(backbone, splits["train"])
    tables = {part: read_targets(path, TARGETS) for part, path in splits.items()}
    num_train = tables["train"].num_rows
    counts = Counter(name for one in true_of(tables["train"]) for name in one["labels"])
    if not counts or {*counts.values()} == {num_train}:
        raise BadInput(
            f"{splits['train']}: all records have the same labels: nothing can be learnt"
        )
    known = sorted(counts)
    together = pa.concat_tables(tables.values())
    true = true_of(together)
    read = TextInputs(
        backbone.read_inputs(list(splits.values())), _indicators(true, known).astype(np.float32)
    )
    return Corpus(
        ids=together["id"].to_pylist(),
        labels=[""] * together.num_rows,
        classes=known,
        examples=HeadExamples.of(read, true),
        num_train=num_train,
    )


def _indicators(answers: Sequence[Answer], outputs: Sequence[str]) -> Floats:
    """Return which of the labels each answer has, N K."""
    number_of = {name: number for number, name in enumerate(outputs)}
    found = np.zeros((len(answers), len(outputs)))
    for row, answer in enumerate(answers):
        found[row, [number_of[name] for name in answer["labels"] if name in number_of]] = 1
    return found


def names_in(answers: Sequence[Answer]) -> set[str]:
    """Return the labels that answers have."""
    return {name for one in answers for name in one["labels"]}


def new_model(
    backbone: TextBackbone,
    outputs: list[str],
    train: HeadExamples,  # noqa: ARG001 - nothing is learnt of them before the first step
    *,
    pretrained: bool,
    dropout: float,
    pooling: str,
) -> HeadModel:
    """Return a model with a new head.

    Args:
        backbone: what it is put on.
        outputs: the labels.
        train: what it will be trained on.
        pretrained: begin with the backbone's weights, not with random ones.
        dropout: share of activations dropped.
        pooling: what the head sees of a text.
    """
    inner = backbone.model(outputs, pretrained=pretrained, dropout=dropout, pooling=pooling)
    return HeadModel(backbone, inner, "multilabel", {"threshold": THRESHOLD})


def logits(model: HeadModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the logit of each label, N K."""
    return model.inner.logits(batch)


def num_terms(batch: dict[str, Tensor]) -> int:
    """Return how many decisions the loss is of: each label of each record."""
    return batch["targets"].numel()


def loss(model: HeadModel, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Return the sum of the decisions' binary cross entropies."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(logits, batch["targets"].float(), reduction="sum")


def choose(model: HeadModel, logits: list[Tensor], batches: list[dict[str, Tensor]]) -> None:
    """Set the threshold to the one with the best micro F1 on the validation split.

    Args:
        model: gets it.
        logits: of each batch.
        batches: with their targets.
    """
    scores = np.concatenate([_probabilities(one.numpy()) for one in logits])
    wanted = np.concatenate([batch["targets"].numpy() for batch in batches])
    model.facts["threshold"] = best_threshold(scores, wanted)


def best_threshold(scores: Floats, wanted: np.ndarray) -> float:
    """Return the score over which labels give the best micro F1.

    It lies in the middle between two scores, so that the last digits decide nothing.

    Args:
        scores: of each label of each record, N K.
        wanted: 1 where the record has the label, N K.
    """
    order = np.argsort(-scores, axis=None, kind="stable")
    falling, hits = scores.flat[order], np.cumsum(wanted.flat[order])
    if not len(order) or not hits[-1]:
        return THRESHOLD
    # Labels of one score are given together.
    may_end = np.append(falling[:-1] > falling[1:], True)
    f1 = np.where(may_end, 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1]), -1)
    last = int(f1.argmax())
    below = falling[last + 1] if last + 1 < len(falling) else 0.0
    return float((falling[last] + below) / 2)


def _probabilities(logits: np.ndarray) -> Floats:
    probabilities: Floats = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return probabilities


def decode(model: HeadModel, logits: np.ndarray, batch: dict[str, Tensor]) -> list[Answer]:  # noqa: ARG001
    """Return the labels of each record of a batch, and the score of each label."""
    return _answers(_probabilities(logits), model.facts["threshold"], model.outputs)


def _answers(scores: Floats, threshold: float, outputs: Sequence[str]) -> list[Answer]:
    return [
        {
            "labels": [name for name, score in zip(outputs, row, strict=True) if score > threshold],
            "scores": [
                {"label": name, "score": score} for name, score in zip(outputs, row, strict=True)
            ],
        }
        for row in scores.tolist()
    ]


@dataclass(frozen=True)
class _Prepared:
    """What is counted of records."""

    wanted: Floats
    """Which labels each has, N K."""
    given: Floats
    """Which it was given, N K."""
    scores: Floats
    """Of each label, N K; 0 where the model does not know it."""
    counted: Floats
    """Of each record the right labels, the true ones, those given, and whether all are right."""


def prepare(true: list[Answer], predicted: list[Answer], outputs: list[str]) -> _Prepared:
    """Return what is counted of each record, for ``measures``."""
    # A label that no model knows, where `validate` was told to let it through, is missed.
    every = [*outputs, *sorted(names_in(true) - {*outputs})]
    wanted, given = _indicators(true, every), _indicators(predicted, every)
    number_of = {name: number for number, name in enumerate(every)}
    scores = np.zeros(wanted.shape)
    for row, answer in enumerate(predicted):
        places = [number_of[one["label"]] for one in answer["scores"]]
        scores[row, places] = [one["score"] for one in answer["scores"]]
    right, all_right = (wanted * given).sum(axis=1), (wanted == given).all(axis=1)
    counted = np.stack([right, wanted.sum(axis=1), given.sum(axis=1), all_right], axis=1)
    return _Prepared(wanted, given, scores, counted)


def measures(outputs: list[str]) -> dict[str, Measure]:  # noqa: ARG001 - the same for all labels
    """Return the metrics by name, the one that decides first.

    Each gives its values, S, from how often each record counts, S N, and what ``prepare`` returns.
    """
    return {
        "micro_f1": _micro_f1,
        "macro_f1": _macro_f1,
        "subset_accuracy": _subset_accuracy,
        "mean_average_precision": _mean_average_precision,
    }


def _micro_f1(counts: Floats, prepared: _Prepared) -> Floats:
    right, true, given, _ = (counts @ prepared.counted).T
    f1: Floats = 2 * right / np.maximum(true + given, 1)
    return f1


def _macro_f1(counts: Floats, prepared: _Prepared) -> Floats:
    """Return the mean over the labels that the records counted have."""
    right = counts @ (prepared.wanted * prepared.given)
    true, given = counts @ prepared.wanted, counts @ prepared.given
    return _mean(2 * right / np.maximum(true + given, 1), true > 0)


def _subset_accuracy(counts: Floats, prepared: _Prepared) -> Floats:
    accuracy: Floats = counts @ prepared.counted[:, 3] / counts.sum(axis=1)
    return accuracy


def _mean_average_precision(counts: Floats, prepared: _Prepared) -> Floats:
    """Return the mean over the labels that the records counted have."""
    precisions = np.zeros((len(counts), prepared.wanted.shape[1]))
    for label, (scores, wanted) in enumerate(
        zip(prepared.scores.T, prepared.wanted.T, strict=True)
    ):
        order = np.argsort(-scores, kind="stable")
        # Records of one score stand at one rank.
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
        drawn = counts[:, order]
        seen, hits = (np.cumsum(c, axis=1)[:, ends] for c in (drawn, drawn * wanted[order]))
        gained = np.diff(hits, axis=1, prepend=0)
        total = np.maximum(hits[:, -1], 1)
        precisions[:, label] = (gained * hits / np.maximum(seen, 1)).sum(axis=1) / total
    return _mean(precisions, counts @ prepared.wanted > 0)


def _mean(values: Floats, is_defined: np.ndarray) -> Floats:
    """Return the mean of each row over the labels that it is defined for."""
    num_defined = is_defined.sum(axis=1)
    mean: Floats = np.full(len(values), np.nan)
    np.divide((values * is_defined).sum(axis=1), num_defined, out=mean, where=num_defined > 0)
    return mean


def baselines(train: pa.Table, test: pa.Table) -> dict[str, list[Answer]]:
    """Return what needs no pretraining: logistic regressions; the most frequent set of labels.

    Args:
        train: ``text`` and ``labels`` of the records that the model was trained on.
        test: ``text`` of the test records.
    """
    true = true_of(train)
    outputs = sorted(names_in(true))
    wanted = _indicators(true, outputs)
    texts, unseen = train["text"].to_pylist(), test["text"].to_pylist()
    threshold = THRESHOLD
    if len(texts) >= MINIMUM_OF_BASELINE:
        # Records lie in the order of their hashes: the last ones are like any others.
        kept = len(texts) - len(texts) // 5
        held_out = _one_versus_rest(texts[:kept], wanted[:kept], texts[kept:])
        threshold = best_threshold(held_out, wanted[kept:])
    linear = _answers(_one_versus_rest(texts, wanted, unseen), threshold, outputs)
    usual = Counter(tuple(one["labels"]) for one in true).most_common(1)[0][0]
    shares = wanted.mean(axis=0).tolist()
    scores = [{"label": name, "score": share} for name, share in zip(outputs, shares, strict=True)]
    simple = [{"labels": list(usual), "scores": scores} for _ in unseen]
    return {"linear": linear, "simple": simple}


def _one_versus_rest(texts: list[str], wanted: Floats, unseen: list[str]) -> Floats:
    """Return the probability of each label of unseen texts, N K."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    shares = wanted.mean(axis=0)
    scores: Floats = np.tile(shares, (len(unseen), 1))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # no word stands in two texts
        return scores
    of_unseen = vectorizer.transform(unseen)
    for label in np.flatnonzero((shares > 0) & (shares < 1)):
        regression = LogisticRegression(C=10, solver="liblinear", random_state=0)
        regression.fit(features, wanted[:, label])
        scores[:, label] = regression.predict_proba(of_unseen)[:, 1]
    return scores


def predicted_type() -> pa.DataType:
    """Return the type of an answer in ``predictions.parquet``."""
    scored = pa.struct([("label", pa.string()), ("score", pa.float64())])
    return pa.struct([("labels", pa.list_(pa.string())), ("scores", pa.list_(scored))])


def slices_by(true: list[Answer]) -> dict[str, np.ndarray]:
    """Return the records with each label."""
    found = [{*one["labels"]} for one in true]
    return {
        f"records with {name}": np.array([name in labels for labels in found])
        for name in sorted(set().union(*found))
    }


def errors(true: list[Answer], predicted: list[Answer]) -> np.ndarray:
    """Return how many labels of each answer are missing or too many, N; 0 is right."""
    pairs = zip(true, predicted, strict=True)
    return np.array([float(len({*a["labels"]} ^ {*b["labels"]})) for a, b in pairs])


def shown(text: str, answer: Answer, beside: Sequence[Answer]) -> str:
    """Return an answer for a page."""
    del text, beside
    return ", ".join(answer["labels"]) or "no label"


def content_of(record: Any) -> str | None:
    """Return what the model reads of a raw record; None of what is none."""
    return record if is_text(record) else None


def output_columns() -> dict[str, str]:
    """Return the columns that are served, and the type of each."""
    return {"labels": "strings", "scores": "scores"}


def served(contents: Sequence[str], answers: list[Answer]) -> list[dict[str, Any]]:
    """Return the served row of each record: its labels, and the score of each label."""
    return [
        {
            "labels": answer["labels"],
            "scores": {one["label"]: one["score"] for one in answer["scores"]},
        }
        for _, answer in zip(contents, answers, strict=True)
    ]
