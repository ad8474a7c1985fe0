"""Pair: one class of two texts, a question and its answer say.

Targets: ``text_b``, the second text, and ``label``. The backbone reads both at once as two
segments, as its tokenizer sets a pair: with a separator between, and numbers of the segments where
the backbone knows them; where both are too long together, the longer one is cut first. Answers are
right or wrong, so models are compared by McNemar's test, as those of classes are.

Dimensions: S resamples, N records, T pieces, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.errors import BadInput
from tasks.heads._corpus import Corpus, require_modality
from tasks.heads._model import HeadModel
from tasks.heads._targets import is_text, read_targets
from tasks.heads._task import HeadExamples, HeadTask
from tasks.metrics import scores as metrics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from tasks.contracts.paths import Part
    from tasks.heads._model import Measure
    from tasks.metrics.scores import Floats
    from tasks.models.text import TextBackbone, TextModel

MODALITIES = ("text",)
TARGETS = ("text_b", "label")
METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "mean of the classes' F1 (macro)",
    "ece": "expected calibration error, 15 bins",
}
LESS_IS_BETTER = frozenset({"ece"})
SHARES = frozenset({"accuracy"})
"""Metrics that are a share of the records."""
RIGHT_OR_WRONG = True
"""An answer is one or the other: McNemar's test decides."""
BASELINES = {
    "linear": "a linear SVM on TF-IDF of both texts and of the words they share",
    "simple": "the most frequent class",
}
READS = "a pair of texts (columns text and text_b)"
COLUMNS = ("text", "text_b")
"""What a raw record is made of, where it comes as a row of a table."""
TASK = HeadTask
IGNORED = -100
"""A class that train does not have: no loss is of it."""
NUM_BINS = 15

Pair = tuple[str, str]
Answer = dict[str, Any]
"""``label``; and ``scores``, a ``label`` and its ``score`` for each class, none of what is true."""


def contents_of(targets: pa.Table) -> list[Pair]:
    """Return what the model reads of each record."""
    return list(zip(*(targets[name].to_pylist() for name in COLUMNS), strict=True))


def decides(outputs: list[str]) -> tuple[str, bool]:  # noqa: ARG001 - the same for all classes
    """Return the metric that decides, and that more of it is better."""
    return "accuracy", True


def true_of(targets: pa.Table) -> list[Answer]:
    """Return what is true of each record, in the form of an answer."""
    return [{"label": label, "scores": []} for label in targets["label"].to_pylist()]


@dataclass(frozen=True)
class _Inputs:
    """Pairs as pieces, one after the other, and perhaps the class of each."""

    pieces: np.ndarray
    segments: np.ndarray
    """Of which text each piece is, 0 or 1."""
    starts: np.ndarray
    """Where each pair begins, and the end of the last one."""
    padding: int
    targets: np.ndarray | None = None

    @property
    def lengths(self) -> np.ndarray:
        lengths: np.ndarray = np.diff(self.starts)
        return lengths

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        import torch

        begins, lengths = self.starts[indices], self.lengths[indices]
        positions = np.arange(max(1, int(lengths.max(initial=0))))
        inside = positions < lengths[:, None]
        places = (begins[:, None] + positions)[inside]
        batch = {
            "input_ids": np.full(inside.shape, self.padding, np.int64),
            "token_type_ids": np.zeros(inside.shape, np.int64),
        }
        batch["input_ids"][inside] = self.pieces[places]
        batch["token_type_ids"][inside] = self.segments[places]
        if not inside.all():
            batch["attention_mask"] = inside.astype(np.int64)
        if self.targets is not None:
            batch["targets"] = self.targets[indices]
        return {name: torch.from_numpy(np.asarray(v, np.int64)) for name, v in batch.items()}


def inputs(
    model: TextModel | TextBackbone,
    contents: Sequence[Pair],
    targets: np.ndarray | None = None,
) -> _Inputs:
    """Return pairs of texts as the model reads them.

    Args:
        model: whose tokenizer cuts them.
        contents: the two texts of each record.
        targets: the number of each one's class.
    """
    tokenizer = model.tokenizer
    # "[SEP]" in a text is plain text: nobody who writes one moves the border between the two.
    tokenizer.encode_special_tokens = True
    padding = tokenizer.token_to_id("[PAD]") or 0
    unknown = [tokenizer.token_to_id("[UNK]") or 0]
    # A tokenizer that adds no token of its own would run the one text into the other. What is too
    # long is cut at the end of a text, so the new line stands in front of the second one.
    between = "" if tokenizer.num_special_tokens_to_add(is_pair=True) else "\n"
    encodings = tokenizer.encode_batch([(text, f"{between}{other}") for text, other in contents])
    pieces = [encoding.ids or unknown for encoding in encodings]
    segments = [encoding.type_ids or [0] for encoding in encodings]
    return _Inputs(
        np.array([piece for one in pieces for piece in one], np.int32),
        np.array([number for one in segments for number in one], np.int8),
        np.cumsum([0, *map(len, pieces)]),
        padding,
        targets,
    )


def read_corpus(backbone: TextBackbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits, with their classes.

    Raises:
        BadInput: a record lacks its second text or its class, or train has fewer than two classes.
    """
    require_modality(backbone, splits["train"])
    tables = {part: read_targets(path, TARGETS) for part, path in splits.items()}
    known = sorted(names_in(true_of(tables["train"])))
    if len(known) < 2:
        raise BadInput(
            f"{splits['train']} has {len(known)} classes ({', '.join(known)}): two at least"
        )
    together = pa.concat_tables(tables.values())
    true = true_of(together)
    read = inputs(backbone, contents_of(together), _numbers(true, known))
    return Corpus(
        ids=together["id"].to_pylist(),
        labels=together["label"].to_pylist(),
        classes=known,
        examples=HeadExamples.of(read, true),
        num_train=tables["train"].num_rows,
    )


def _numbers(answers: Sequence[Answer], outputs: Sequence[str]) -> np.ndarray:
    number_of = {name: number for number, name in enumerate(outputs)}
    return np.array([number_of.get(one["label"], IGNORED) for one in answers], np.int64)


def names_in(answers: Sequence[Answer]) -> set[str]:
    """Return the classes that answers have."""
    return {one["label"] for one in answers}


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
        outputs: the classes.
        train: what it will be trained on.
        pretrained: begin with the backbone's weights, not with random ones.
        dropout: share of activations dropped.
        pooling: what the head sees of both texts.
    """
    inner = backbone.model(outputs, pretrained=pretrained, dropout=dropout, pooling=pooling)
    return HeadModel(backbone, inner, "pair", {})


def logits(model: HeadModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the logit of each class, N K."""
    from tasks.models.text import INPUT_NAMES, pool

    inner = model.inner
    given = {name: batch[name] for name in INPUT_NAMES if name in batch}
    # Of others the numbers are no segments (GPT-2), or there is one alone (RoBERTa).
    if getattr(getattr(inner.encoder, "config", None), "type_vocab_size", 1) > 1:
        given["token_type_ids"] = batch["token_type_ids"]
    output = inner.encoder(**given)
    if "reader" in inner.module:
        output = inner.module["reader"](output.last_hidden_state)
    logits: Tensor = inner.module["head"](pool(inner.pooling, output, batch.get("attention_mask")))
    return logits


def num_terms(batch: dict[str, Tensor]) -> int:
    """Return how many records the loss is of."""
    return max(1, int((batch["targets"] != IGNORED).sum()))


def loss(model: HeadModel, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Return the sum of the records' cross entropies."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, batch["targets"], ignore_index=IGNORED, reduction="sum")


def decode(model: HeadModel, logits: np.ndarray, batch: dict[str, Tensor]) -> list[Answer]:  # noqa: ARG001
    """Return the class of each record of a batch, and the score of each class."""
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities = exponents / exponents.sum(axis=1, keepdims=True)
    return [
        {
            "label": model.outputs[int(row.argmax())],
            "scores": [
                {"label": name, "score": score}
                for name, score in zip(model.outputs, row.tolist(), strict=True)
            ],
        }
        for row in probabilities
    ]


@dataclass(frozen=True)
class _Prepared:
    """True and given classes, as numbers among those of both, with the scores where there are."""

    scored: metrics.Scored
    num_classes: int
    has_scores: bool


def prepare(true: list[Answer], predicted: list[Answer], outputs: list[str]) -> _Prepared:
    """Return what is counted of each record, for ``measures``."""
    every = [*outputs, *sorted((names_in(true) | names_in(predicted)) - {*outputs})]
    number_of = {name: number for number, name in enumerate(every)}
    has_scores = all(one["scores"] for one in predicted)
    scores = np.zeros((len(predicted), len(every)))
    for row, answer in enumerate(predicted if has_scores else ()):
        places = [number_of[one["label"]] for one in answer["scores"]]
        scores[row, places] = [one["score"] for one in answer["scores"]]
    scored = metrics.Scored(_numbers(true, every), _numbers(predicted, every), scores)
    return _Prepared(scored, len(every), has_scores)


def measures(outputs: list[str]) -> dict[str, Measure]:  # noqa: ARG001 - the same for all classes
    """Return the metrics by name, the one that decides first.

    Each gives its values, S, from how often each record counts, S N, and what ``prepare`` returns.
    """
    return {"accuracy": _accuracy, "macro_f1": _macro_f1, "ece": _calibration_error}


def _accuracy(counts: Floats, prepared: _Prepared) -> Floats:
    return metrics.accuracy(counts, prepared.scored)


def _macro_f1(counts: Floats, prepared: _Prepared) -> Floats:
    return metrics.macro_scores(counts, prepared.scored, prepared.num_classes)["macro_f1"]


def _calibration_error(counts: Floats, prepared: _Prepared) -> Floats:
    if not prepared.has_scores:  # a baseline's answers have none
        return np.full(len(counts), np.nan)
    return metrics.expected_calibration_error(counts, prepared.scored, NUM_BINS)


def baselines(train: pa.Table, test: pa.Table) -> dict[str, list[Answer]]:
    """Return what needs no pretraining: a linear SVM; the most frequent class.

    Args:
        train: both texts and ``label`` of the records that the model was trained on.
        test: both texts of the test records.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer
    from sklearn.svm import LinearSVC

    labels = train["label"].to_pylist()
    usual = max(sorted(set(labels)), key=labels.count)
    simple: list[str] = [usual] * test.num_rows

    def of(place: int) -> Any:
        first = FunctionTransformer(lambda pairs: [pair[place] for pair in pairs])
        return make_pipeline(first, TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True))

    shared = make_pipeline(FunctionTransformer(_shared_words), TfidfVectorizer(sublinear_tf=True))
    linear = make_pipeline(make_union(of(0), of(1), shared), LinearSVC(random_state=0))
    try:
        linear.fit(contents_of(train), labels)
        found = [str(label) for label in linear.predict(contents_of(test))]
    except ValueError:  # texts without words, or of one class
        found = simple
    answers = {"linear": found, "simple": simple}
    return {
        who: [{"label": label, "scores": []} for label in given] for who, given in answers.items()
    }


def _shared_words(pairs: Sequence[Pair]) -> list[str]:
    """Return the words that stand in both texts, marked so that none lacks some."""
    words = [[{*text.lower().split()} for text in pair] for pair in pairs]
    return [" ".join(["shared", *sorted(first & second)]) for first, second in words]


def predicted_type() -> pa.DataType:
    """Return the type of an answer in ``predictions.parquet``."""
    scored = pa.struct([("label", pa.string()), ("score", pa.float64())])
    return pa.struct([("label", pa.string()), ("scores", pa.list_(scored))])


def slices_by(true: list[Answer]) -> dict[str, np.ndarray]:
    """Return the records of each class."""
    labels = np.array([one["label"] for one in true], dtype=object)
    return {f"class {name}": labels == name for name in sorted(names_in(true))}


def errors(true: list[Answer], predicted: list[Answer]) -> np.ndarray:
    """Return how wrong each answer is, N; 0 is right: the score that the wrong class has."""
    wrong = np.zeros(len(true))
    for row, (wanted, given) in enumerate(zip(true, predicted, strict=True)):
        if wanted["label"] != given["label"]:
            wrong[row] = max((one["score"] for one in given["scores"]), default=1.0)
    return wrong


def shown(content: Pair, answer: Answer, beside: Sequence[Answer]) -> str:
    """Return an answer for a page."""
    del content, beside
    label: str = answer["label"]
    return label


def content_of(record: Any) -> Pair | None:
    """Return the two texts of a raw record, by name or in a list; None of what is none."""
    if isinstance(record, dict):
        record = [record.get(name) for name in COLUMNS]
    if not isinstance(record, list | tuple) or len(record) != 2 or not all(map(is_text, record)):
        return None
    return record[0], record[1]


def output_columns() -> dict[str, str]:
    """Return the columns that are served, and the type of each."""
    return {"label": "string", "score": "double", "scores": "scores"}


def served(contents: Sequence[Pair], answers: list[Answer]) -> list[dict[str, Any]]:
    """Return the served row of each record: its class, with its score, and the score of each."""
    rows = []
    for _, answer in zip(contents, answers, strict=True):
        scores = {one["label"]: one["score"] for one in answer["scores"]}
        rows.append({"label": answer["label"], "score": scores[answer["label"]], "scores": scores})
    return rows
