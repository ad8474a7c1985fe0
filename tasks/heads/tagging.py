"""Tagging: one tag a token; of tags in IOB2, spans.

Targets: ``tokens`` and ``tags``. The head reads the state of each token's first piece, of texts in
as many windows as the backbone needs, so that no token is left out. The F1 of spans decides where
the tags are IOB2 (``B-``, ``I-``, ``O``), the share of right tokens where they are not.

Spans are strict, as ``seqeval`` has them in its mode ``strict``: one begins at ``B-`` alone, and is
right if its type and both of its ends are.

Dimensions: S resamples, N records, R windows, T pieces, W tokens of a window, K tags.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.errors import BadInput
from tasks.heads._corpus import Corpus, require_modality
from tasks.heads._model import HeadModel
from tasks.heads._targets import is_text, read_targets
from tasks.heads._task import HeadExamples, HeadTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from tasks.contracts.paths import Part
    from tasks.heads._model import Measure
    from tasks.metrics.scores import Floats
    from tasks.models.text import TextBackbone, TextModel

MODALITIES = ("text",)
TARGETS = ("tokens", "tags")
METRICS = {"span_f1": "F1 of spans (IOB2, strict)", "token_accuracy": "accuracy of tokens"}
LESS_IS_BETTER: frozenset[str] = frozenset()
BASELINES = {
    "linear": "a linear model on a window of words",
    "simple": "each word's most frequent tag",
}
READS = "a text, or a list of tokens"
TASK = HeadTask
IGNORED = -100
"""A token that no loss is of: padding, or a tag that train does not have."""
OUTSIDE = "O"
_IOB = re.compile(r"[BI]-.+|O")
_BEGINS_LIKE_IOB = re.compile(r"[BI]-.+")
MOST_BASELINE_TOKENS = 200_000
"""What the linear baseline learns from, at most: it has a weight vector for each tag."""

AROUND = 2
"""Words that are shown on either side of one that is tagged otherwise."""

Sentence = tuple[tuple[str, ...], tuple[str, ...]]
"""Tokens and their tags."""
Span = tuple[int, int, str]
"""First token, the one behind the last, and type."""


def contents_of(targets: pa.Table) -> list[list[str]]:
    """Return what the model reads of each record."""
    tokens: list[list[str]] = targets["tokens"].to_pylist()
    return tokens


def decides(outputs: list[str]) -> tuple[str, bool]:
    """Return the metric that decides, and that more of it is better."""
    return ("span_f1" if is_iob(outputs) else "token_accuracy"), True


def is_iob(tags: Sequence[str]) -> bool:
    """Tell tags in IOB from others."""
    return any(_BEGINS_LIKE_IOB.fullmatch(tag) for tag in tags)


def true_of(targets: pa.Table) -> list[list[str]]:
    """Return what is true of each record, in the form of an answer."""
    tags: list[list[str]] = targets["tags"].to_pylist()
    return tags


@dataclass(frozen=True)
class _Inputs:
    """Sentences in windows of pieces.

    Window *r* has the pieces ``pieces[starts[r]:starts[r + 1]]``, and the tokens ``firsts[…]`` at
    the positions of their first pieces, between ``token_starts[r]`` and ``token_starts[r + 1]``.
    """

    pieces: np.ndarray
    starts: np.ndarray
    firsts: np.ndarray
    token_starts: np.ndarray
    numbers: np.ndarray
    """Which token of its sentence each is."""
    windows: np.ndarray
    """Where each sentence's windows begin, and the end of the last one's."""
    num_tokens: np.ndarray
    """Of each sentence."""
    padding: int
    tags: np.ndarray | None = None
    """Of each of ``firsts``, where they are known."""

    @property
    def lengths(self) -> np.ndarray:
        lengths: np.ndarray = np.diff(self.starts[self.windows])
        return lengths

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        import torch

        spans = [np.arange(self.windows[i], self.windows[i + 1]) for i in indices]
        rows = np.concatenate(spans)
        ids, attended = _padded(self.pieces, self.starts, rows, self.padding)
        first, has_token = _padded(self.firsts, self.token_starts, rows, 0)
        number, _ = _padded(self.numbers, self.token_starts, rows, -1)
        of_record = np.repeat(np.arange(len(indices)), [len(span) for span in spans])
        batch = {
            "input_ids": ids,
            "first": first,
            "number": number,
            "record": of_record,
            "num_tokens": self.num_tokens[np.asarray(indices)],
        }
        if not attended.all():
            batch["attention_mask"] = attended.astype(np.int64)
        if self.tags is not None:
            tags, _ = _padded(self.tags, self.token_starts, rows, IGNORED)
            batch["targets"] = np.where(has_token, tags, IGNORED)
        return {name: torch.from_numpy(np.asarray(v, np.int64)) for name, v in batch.items()}


def _padded(
    values: np.ndarray, starts: np.ndarray, rows: np.ndarray, padding: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return runs of values as rows of one array, and which of it they are."""
    begins = starts[rows]
    lengths = starts[rows + 1] - begins
    positions = np.arange(max(1, int(lengths.max())))
    inside = positions < lengths[:, None]
    padded = np.full(inside.shape, padding, dtype=np.int64)
    padded[inside] = values[(begins[:, None] + positions)[inside]]
    return padded, inside


def inputs(
    model: TextModel | TextBackbone,
    contents: Sequence[Sequence[str]],
    tags: Sequence[Sequence[int]] | None = None,
) -> _Inputs:
    """Return tokens as the model reads them: the pieces of their text, as in pretraining.

    Args:
        model: whose tokenizer cuts them.
        contents: the tokens of each sentence.
        tags: the number of each token's tag.
    """
    tokenizer = model.tokenizer
    padding = tokenizer.token_to_id("[PAD]") or 0
    pieces: list[int] = []
    firsts: list[int] = []
    numbers: list[int] = []
    of_tokens: list[int] = []
    starts, token_starts, windows = [0], [0], [0]
    encodings = tokenizer.encode_batch([" ".join(tokens) for tokens in contents])
    for place, (tokens, encoding) in enumerate(zip(contents, encodings, strict=True)):
        begins = np.cumsum([0, *(len(token) + 1 for token in tokens)])
        seen = -1
        for window in [encoding, *encoding.overflowing]:
            for position, (_, end) in enumerate(window.offsets):
                if end == 0 or window.special_tokens_mask[position]:
                    continue
                number = int(np.searchsorted(begins, end - 1, side="right")) - 1
                if number > seen:
                    seen = number
                    firsts.append(position)
                    numbers.append(number)
                    if tags is not None:
                        of_tokens.append(tags[place][number])
            pieces += window.ids or [padding]
            starts.append(len(pieces))
            token_starts.append(len(firsts))
        windows.append(len(starts) - 1)
    return _Inputs(
        np.array(pieces, np.int32),
        np.array(starts, np.int64),
        np.array(firsts, np.int64),
        np.array(token_starts, np.int64),
        np.array(numbers, np.int64),
        np.array(windows, np.int64),
        np.array([len(tokens) for tokens in contents], np.int64),
        padding,
        None if tags is None else np.array(of_tokens, np.int64),
    )


def read_corpus(backbone: TextBackbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits, with their tags.

    Raises:
        BadInput: train has fewer than two tags, or one that is not IOB beside such that are.
    """
    require_modality(backbone, splits["train"])
    tables = {part: read_targets(path, TARGETS) for part, path in splits.items()}
    known = sorted(names_in(true_of(tables["train"])))
    check_tags(known, splits["train"])
    together = pa.concat_tables(tables.values())
    true = true_of(together)
    number_of = {tag: number for number, tag in enumerate(known)}
    numbers = [[number_of.get(tag, IGNORED) for tag in tags] for tags in true]
    read = inputs(backbone, together["tokens"].to_pylist(), numbers)
    return Corpus(
        ids=together["id"].to_pylist(),
        labels=[""] * together.num_rows,
        classes=known,
        examples=HeadExamples.of(read, true),
        num_train=tables["train"].num_rows,
    )


def names_in(answers: Sequence[Sequence[str]]) -> set[str]:
    """Return the tags that answers have."""
    return set(chain.from_iterable(answers))


def check_tags(tags: Sequence[str], where: Path) -> None:
    """Refuse tags that are too few, or in IOB in part.

    Raises:
        BadInput: they are.
    """
    if len(tags) < 2:
        raise BadInput(f"{where} has {len(tags)} tags ({', '.join(tags)}): tagging needs two")
    strangers = [tag for tag in tags if not _IOB.fullmatch(tag)]
    if is_iob(tags) and strangers:
        raise BadInput(
            f"{where}: the tag {strangers[0]!r:.40} is not in IOB, as {len(tags) - len(strangers)} "
            "others are: expected B-, I- and O alone"
        )


def new_model(
    backbone: TextBackbone,
    outputs: list[str],
    train: HeadExamples,
    *,
    pretrained: bool,
    dropout: float,
    pooling: str,  # noqa: ARG001 - each token has a state of its own
) -> HeadModel:
    """Return a model with a new head.

    Args:
        backbone: what it is put on.
        outputs: the tags.
        train: what it will be trained on.
        pretrained: begin with the backbone's weights, not with random ones.
        dropout: share of activations dropped.
        pooling: has no meaning here.
    """
    inner = backbone.model(outputs, pretrained=pretrained, dropout=dropout, pooling="mean")
    counts = Counter(chain.from_iterable(train.true))
    # Of a token that no piece stands for: a sign that the tokenizer drops.
    usual = OUTSIDE if OUTSIDE in outputs else min(outputs, key=lambda tag: (-counts[tag], tag))
    return HeadModel(backbone, inner, "tagging", {"usual": usual})


def logits(model: HeadModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the logits of each token's first piece, R W K."""
    states = model.states(batch)
    places = batch["first"][..., None].expand(-1, -1, states.shape[-1])
    logits: Tensor = model.module["head"](states.gather(1, places))
    return logits


def num_terms(batch: dict[str, Tensor]) -> int:
    """Return how many tokens the loss is of."""
    return max(1, int((batch["targets"] != IGNORED).sum()))


def loss(model: HeadModel, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Return the sum of the tokens' cross entropies."""
    from torch.nn.functional import cross_entropy

    targets = batch["targets"].flatten()
    return cross_entropy(logits.flatten(0, 1), targets, ignore_index=IGNORED, reduction="sum")


def decode(model: HeadModel, logits: np.ndarray, batch: dict[str, Tensor]) -> list[list[str]]:
    """Return the tags of each record of a batch, one for each of its tokens."""
    record, number = batch["record"].cpu().numpy(), batch["number"].cpu().numpy()
    answers = [[model.facts["usual"]] * int(length) for length in batch["num_tokens"].cpu().numpy()]
    best = logits.argmax(axis=-1)
    for row, place in zip(*np.nonzero(number >= 0), strict=True):
        answers[record[row]][number[row, place]] = model.outputs[best[row, place]]
    return answers


def spans_of(tags: Sequence[str]) -> Iterator[Span]:
    """Yield the spans of a sentence: each begins at ``B-``, and goes on over its own ``I-``."""
    start, kind = 0, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        if kind and tag != f"I-{kind}":
            yield start, place, kind
            kind = ""
        if tag.startswith("B-"):
            start, kind = place, tag[2:]


def prepare(true: list[list[str]], predicted: list[list[str]], outputs: list[str]) -> np.ndarray:  # noqa: ARG001
    """Return what is counted of each record, N 5, for ``measures``.

    That is tokens, right tokens, true spans, predicted spans and right spans.
    """
    rows = []
    for wanted, given in zip(true, predicted, strict=True):
        right = sum(one == other for one, other in zip(wanted, given, strict=True))
        ours, theirs = set(spans_of(wanted)), set(spans_of(given))
        rows.append((len(wanted), right, len(ours), len(theirs), len(ours & theirs)))
    return np.array(rows, dtype=float)


def measures(outputs: list[str]) -> dict[str, Measure]:
    """Return the metrics by name, the one that decides first.

    Each gives its values, S, from how often each record counts, S N, and what ``prepare`` returns.
    """
    if is_iob(outputs):
        return {"span_f1": _span_f1, "token_accuracy": _token_accuracy}
    return {"token_accuracy": _token_accuracy}


def _token_accuracy(counts: Floats, prepared: np.ndarray) -> Floats:
    tokens, right = (counts @ prepared[:, :2]).T
    accuracy: Floats = right / np.maximum(tokens, 1)
    return accuracy


def _span_f1(counts: Floats, prepared: np.ndarray) -> Floats:
    true, predicted, hits = (counts @ prepared[:, 2:]).T
    f1: Floats = 2 * hits / np.maximum(true + predicted, 1)
    return f1


def baselines(train: pa.Table, test: pa.Table) -> dict[str, list[list[str]]]:
    """Return what needs no pretraining: a linear model; each word's most frequent tag.

    Args:
        train: ``tokens`` and ``tags`` of the records that the model was trained on.
        test: ``tokens`` of the test records.
    """
    sentences, tags = train["tokens"].to_pylist(), true_of(train)
    unseen = test["tokens"].to_pylist()
    by_word: dict[str, Counter[str]] = {}
    for word, tag in zip(chain.from_iterable(sentences), chain.from_iterable(tags), strict=True):
        by_word.setdefault(word, Counter())[tag] += 1
    usual = Counter(chain.from_iterable(tags)).most_common(1)[0][0]
    best = {word: counts.most_common(1)[0][0] for word, counts in by_word.items()}
    simple = [[best.get(word, usual) for word in tokens] for tokens in unseen]
    return {"linear": _linear(sentences, tags, unseen), "simple": simple}


def _linear(
    sentences: list[list[str]], tags: list[list[str]], unseen: list[list[str]]
) -> list[list[str]]:
    from sklearn.feature_extraction import FeatureHasher
    from sklearn.linear_model import SGDClassifier

    ends = np.cumsum([len(tokens) for tokens in tags])
    step = max(1, -(-int(ends[-1]) // MOST_BASELINE_TOKENS))
    chosen = range(0, len(sentences), step)
    hasher = FeatureHasher(2**18, input_type="string")
    features = hasher.transform(chain.from_iterable(map(_windows, (sentences[n] for n in chosen))))
    wanted = list(chain.from_iterable(tags[n] for n in chosen))
    if len(set(wanted)) == 1:
        return [[wanted[0]] * len(tokens) for tokens in unseen]
    classifier = SGDClassifier(alpha=1e-6, max_iter=5, tol=None, random_state=0, average=True)
    classifier.fit(features, wanted)
    flat = classifier.predict(hasher.transform(chain.from_iterable(map(_windows, unseen))))
    parts = np.split(flat, np.cumsum([len(tokens) for tokens in unseen])[:-1])
    return [[str(tag) for tag in part] for part in parts]


def _windows(tokens: Sequence[str]) -> Iterator[list[str]]:
    """Yield the features of each token: itself, how it begins and ends, and two on either side."""
    padded = ["<", "<", *tokens, ">", ">"]
    for place, word in enumerate(tokens, start=2):
        around = [f"{step}={padded[place + step].lower()}" for step in (-2, -1, 0, 1, 2)]
        ends = [f"end={word[-size:].lower()}" for size in (1, 2, 3)]
        form = "".join("X" if c.isupper() else "9" if c.isdigit() else "x" for c in word[:4])
        yield [*around, *ends, f"begins={word[:3].lower()}", f"form={form}", f"word={word}"]


def predicted_type() -> pa.DataType:
    """Return the type of an answer in ``predictions.parquet``."""
    return pa.list_(pa.string())


def slices_by(true: list[list[str]]) -> dict[str, np.ndarray]:
    """Return the records with a span of each type, of tags in IOB."""
    kinds = [{kind for _, _, kind in spans_of(tags)} for tags in true]
    return {
        f"records with {kind}": np.array([kind in found for found in kinds])
        for kind in sorted(set().union(*kinds))
    }


def errors(true: list[list[str]], predicted: list[list[str]]) -> np.ndarray:
    """Return how many tokens of each answer are wrong, N; 0 is right."""
    pairs = zip(true, predicted, strict=True)
    return np.array([float(sum(a != b for a, b in zip(*pair, strict=True))) for pair in pairs])


def shown(content: Sequence[str], answer: list[str], beside: Sequence[list[str]]) -> str:
    """Return an answer for a page: the spans, or the words around those that are tagged otherwise.

    Args:
        content: the tokens.
        answer: their tags.
        beside: the answers that stand in the same line, which tell what is worth a look.
    """
    if is_iob(answer):
        spans = [f"[{' '.join(content[a:b])}] {kind}" for a, b, kind in spans_of(answer)]
        return "; ".join(spans) or "no span"
    differs = [len({*tags}) > 1 for tags in zip(answer, *beside, strict=True)]
    words: list[str] = []
    for place, (word, tag) in enumerate(zip(content, answer, strict=True)):
        if differs[place]:
            words.append(f"{word}/{tag}")
        elif any(differs[max(0, place - AROUND) : place + AROUND + 1]):
            words.append(word)
        elif words[-1:] != ["…"]:
            words.append("…")
    return " ".join(words)


def content_of(record: Any) -> list[str] | None:
    """Return the tokens of a raw record, of a text those between spaces; None of what is none."""
    tokens = record.split() if is_text(record) else record
    is_right = isinstance(tokens, list) and all(is_text(one) and one.strip() for one in tokens)
    return tokens if is_right else None


def output_columns() -> dict[str, str]:
    """Return the columns that are served, and the type of each."""
    return {"tags": "strings", "spans": "spans"}


def served(contents: Sequence[Sequence[str]], answers: list[list[str]]) -> list[dict[str, Any]]:
    """Return the served row of each record: a tag for each token, and spans with their offsets.

    Offsets are those of characters in the text, in which a space stands between two tokens. Of tags
    that are not IOB, each token is a span.
    """
    rows = []
    for tokens, tags in zip(contents, answers, strict=True):
        begins = np.cumsum([0, *(len(token) + 1 for token in tokens)])
        each = [(place, place + 1, tag) for place, tag in enumerate(tags)]
        found = list(spans_of(tags)) if all(map(_IOB.fullmatch, tags)) else each
        spans = [
            {
                "start": int(begins[first]),
                "end": int(begins[behind]) - 1,
                "label": kind,
                "text": " ".join(tokens[first:behind]),
            }
            for first, behind, kind in found
        ]
        rows.append({"tags": tags, "spans": spans})
    return rows
