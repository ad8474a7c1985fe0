"""Generation: a response to each prompt, by a causal backbone.

Target: ``response``. The head learns the responses' tokens alone, each from those before it;
prompts are read, not learnt. The epoch is chosen by the perplexity of the validation responses;
chrF of written responses decides what is compared.

Dimensions: S resamples, N records, P tokens that are predicted, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.errors import BadInput
from tasks.heads._corpus import Corpus, require_modality
from tasks.heads._dialogues import Template, Writer
from tasks.heads._generator import (
    MAX_TOKENS,
    OUTPUT,
    TEMPLATE,
    GenerationModel,
    GenerationTask,
    Generator,
    encoder_of,
    require_causal,
)
from tasks.heads._targets import is_text, read_targets
from tasks.heads._task import HeadExamples
from tasks.metrics import generated
from tasks.metrics.scores import once_each
from tasks.progress import say
from tasks.training.ranks import rank

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from tasks.contracts.paths import Part
    from tasks.heads._dialogues import Dialogues
    from tasks.heads._model import HeadModel, Measure
    from tasks.metrics.scores import Floats
    from tasks.models.text import TextBackbone

MODALITIES = ("text",)
TARGETS = (OUTPUT,)
METRICS = {
    "chrf": "chrF",
    "bleu": "BLEU",
    "exact_match": "exact match",
    "perplexity": "perplexity of the references",
}
LESS_IS_BETTER = frozenset({"perplexity"})
SHARES = frozenset({"exact_match"})
"""Metrics that are a share of the records."""
BASELINES = {
    "linear": "the response to the nearest training text by TF-IDF",
    "simple": "the most frequent response",
}
READS = "a text"
TASK = GenerationTask
TEXTS_AT_ONCE = 500
REFERENCES = "references"
"""All responses to a test prompt, where some prompt has several."""
_EVERY_RECORD = generated.NUM_COLUMNS

Content = dict[str, str | None]
"""A prompt, ``text``, and where it is known the reference, ``response``."""
Answer = dict[str, Any]
"""The ``response``; of a model, negative log-likelihood and tokens of the reference."""


def contents_of(targets: pa.Table) -> list[Content]:
    """Return what the model reads of each record, and the reference that it is measured by."""
    rows: list[Content] = targets.select(["text", OUTPUT]).to_pylist()
    return rows


def joined(targets: pa.Table) -> pa.Table:
    """Return a row a prompt, for its first record; where any has several, with their responses.

    The answer to a prompt is one, and is measured once, by all references that there are.
    """
    texts, responses = (targets[name].to_pylist() for name in ("text", OUTPUT))
    known: dict[str, list[str]] = {}
    first: list[int] = []
    for place, (text, response) in enumerate(zip(texts, responses, strict=True)):
        if text not in known:
            first.append(place)
        known.setdefault(text, []).append(response)
    if len(first) == targets.num_rows:
        return targets
    of_each = pa.array([known[texts[place]] for place in first], pa.list_(pa.string()))
    return targets.take(first).append_column(REFERENCES, of_each)


def true_of(targets: pa.Table) -> list[Answer]:
    """Return what is true of each record, in the form of an answer."""
    true = [_said(response) for response in targets[OUTPUT].to_pylist()]
    if REFERENCES in targets.column_names:
        several = targets[REFERENCES].to_pylist()
        true = [{**one, REFERENCES: known} for one, known in zip(true, several, strict=True)]
    return true


def _references_of(answer: Answer) -> list[str]:
    known: list[str] = answer.get(REFERENCES) or [answer[OUTPUT]]
    return known


def _said(response: str) -> Answer:
    return {OUTPUT: response, "nats": None, "tokens": None}


def decides(outputs: list[str]) -> tuple[str, bool]:  # noqa: ARG001 - there is one output
    """Return the metric that the epoch is chosen by, and that less of it is better."""
    return "perplexity", False


def read_corpus(backbone: TextBackbone, splits: dict[Part, Path]) -> Corpus:
    """Read both splits, with their responses.

    Raises:
        BadInput: a record has no response, or one that is empty; or the backbone is not causal.
    """
    require_modality(backbone, splits["train"])
    require_causal(backbone)
    tables = {part: read_targets(path, TARGETS) for part, path in splits.items()}
    for part, table in tables.items():
        empty = sum(not response.strip() for response in table[OUTPUT].to_pylist())
        if empty:
            raise BadInput(f"{splits[part]}: {empty} responses are empty: drop these records")
    together = pa.concat_tables(tables.values())
    texts, responses = together["text"].to_pylist(), together[OUTPUT].to_pylist()
    writer = Writer(backbone.tokenizer, Template.of(backbone.tokenizer))
    dialogues = writer.dialogues(texts, responses)
    if rank() == 0:
        _say_what_is_lost(writer, dialogues, responses)
    return Corpus(
        ids=together["id"].to_pylist(),
        labels=[""] * together.num_rows,
        classes=[OUTPUT],
        examples=HeadExamples.of(dialogues, [_said(response) for response in responses]),
        num_train=tables["train"].num_rows,
    )


def _say_what_is_lost(writer: Writer, dialogues: Dialogues, responses: list[str]) -> None:
    ends = dialogues.ids[dialogues.starts[1:] - 1]
    num_cut, num_lost = int((ends != writer.end).sum()), writer.num_lost(responses)
    if num_cut:
        say(
            f"{num_cut:,} of {len(ends):,} responses are cut: they do not fit {writer.longest} "
            "tokens (finetune.tokens) with their prompt"
        )
    if num_lost:
        say(
            f"{num_lost:,} of {len(ends):,} responses do not come back whole from their tokens: "
            "causal.tokenizer: bytes of the backbone keeps every character"
        )


def new_model(
    backbone: TextBackbone,
    outputs: list[str],  # noqa: ARG001 - there is one
    train: HeadExamples,
    *,
    pretrained: bool,
    dropout: float,
    pooling: str,  # noqa: ARG001 - each token has a state of its own
) -> HeadModel:
    """Return the backbone as a model that answers, with no head but its own.

    Args:
        backbone: what is trained.
        outputs: ``["response"]``.
        train: what it will be trained on.
        pretrained: begin with the backbone's weights, not with random ones.
        dropout: share of activations dropped.
        pooling: has no meaning here.
    """
    dialogues: Any = train.inputs
    lengths = dialogues.response_lengths[train.indices]
    facts = {
        TEMPLATE: Template.of(backbone.tokenizer).facts(),
        MAX_TOKENS: min(int(lengths.max()), dialogues.longest - 1),
    }
    encoder = encoder_of(backbone, pretrained=pretrained, dropout=dropout)
    return GenerationModel(backbone, encoder, facts)


def load_predictor(backbone: TextBackbone, about: dict[str, Any]) -> Generator:
    """Return the finished model that lies in a backbone's folder, ``about`` being what it says."""
    encoder = encoder_of(backbone, pretrained=True, dropout=0)
    return Generator(GenerationModel(backbone, encoder, about["facts"]))


def logits(model: HeadModel, batch: dict[str, Tensor]) -> Tensor:
    """Return the logits of the tokens of responses, P V."""
    assert isinstance(model, GenerationModel)  # noqa: S101 - for the types: new_model made it
    states = model.states(batch).flatten(0, 1)
    return model.scores(states[batch["places"]])


def num_terms(batch: dict[str, Tensor]) -> int:
    """Return how many tokens the loss is of."""
    return len(batch["targets"])


def loss(model: HeadModel, logits: Tensor, batch: dict[str, Tensor]) -> Tensor:  # noqa: ARG001
    """Return the sum of the tokens' cross entropies."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(logits, batch["targets"], reduction="sum")


def prepare(true: list[Answer], predicted: list[Answer], outputs: list[str]) -> np.ndarray:  # noqa: ARG001
    """Return what is counted of each record, N, for ``measures``; unknown likelihoods are NaN."""
    texts, references = [one[OUTPUT] for one in predicted], [*map(_references_of, true)]
    likely = [[one["nats"], one["tokens"]] for one in predicted]
    return np.column_stack(
        [generated.counted(texts, references), np.array(likely, dtype=float).reshape(-1, 2)]
    )


def measures(outputs: list[str]) -> dict[str, Measure]:  # noqa: ARG001 - there is one output
    """Return the metrics by name, the one that decides first.

    Each gives its values, S, from how often each record counts, S N, and what ``prepare`` returns.
    """
    return {
        "chrf": lambda counts, prepared: generated.chrf(counts, prepared[:, :_EVERY_RECORD]),
        "bleu": lambda counts, prepared: generated.bleu(counts, prepared[:, :_EVERY_RECORD]),
        "exact_match": lambda counts, prepared: generated.exact_match(
            counts, prepared[:, :_EVERY_RECORD]
        ),
        "perplexity": _perplexity,
    }


def _perplexity(counts: Floats, prepared: np.ndarray) -> Floats:
    nats, tokens = (counts @ prepared[:, _EVERY_RECORD:]).T
    return np.exp(nats / tokens)


def baselines(train: pa.Table, test: pa.Table) -> dict[str, list[Answer]]:
    """Return what needs no pretraining: the nearest record's response, and the most frequent one.

    Args:
        train: ``text`` and ``response`` of the records that the model was trained on.
        test: ``text`` of the test records.
    """
    responses = train[OUTPUT].to_pylist()
    (usual, _), *_ = Counter(responses).most_common(1)
    nearest = _nearest(train["text"].to_pylist(), test["text"].to_pylist())
    return {
        "linear": [_said(responses[place]) for place in nearest],
        "simple": [_said(usual)] * test.num_rows,
    }


def _nearest(known: list[str], texts: list[str]) -> list[int]:
    """Return the known text that is most like each text, the first of equals."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    # Of characters, so that it holds for scripts without blanks too.
    features = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    try:
        among = features.fit_transform(known).T.tocsr()
    except ValueError:  # no text has two characters
        return [0] * len(texts)
    places: list[int] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        alike = features.transform(texts[start : start + TEXTS_AT_ONCE]) @ among
        places += np.asarray(alike.argmax(axis=1)).ravel().tolist()
    return places


def predicted_type() -> pa.DataType:
    """Return the type of an answer in ``predictions.parquet``."""
    return pa.struct([(OUTPUT, pa.string()), ("nats", pa.float64()), ("tokens", pa.int64())])


def slices_by(true: list[Answer]) -> dict[str, np.ndarray]:
    """Return the records with short, middle and long references, in characters."""
    lengths = np.array([len(one[OUTPUT]) for one in true])
    low, high = np.quantile(lengths, [1 / 3, 2 / 3], method="lower")
    return {
        f"references up to {low} characters": lengths <= low,
        f"references of {low + 1} to {high}": (lengths > low) & (lengths <= high),
        f"references over {high}": lengths > high,
    }


def errors(true: list[Answer], predicted: list[Answer]) -> np.ndarray:
    """Return how far each response is from its reference, N: what its chrF lacks to 1."""
    each = [
        generated.counted([given[OUTPUT]], [_references_of(wanted)])
        for wanted, given in zip(true, predicted, strict=True)
    ]
    return np.array([1 - float(generated.chrf(once_each(1), one)[0]) for one in each])


def may_be_either(predictor: Any, content: Content, one: Answer, other: Answer) -> bool:
    """Tell whether the same model may have given both answers, in batches of other prompts.

    Args:
        predictor: that model.
        content: the prompt.
        one: an answer.
        other: another one.
    """
    text = str(content["text"])
    return bool(predictor.part_at_a_tie(text, one[OUTPUT], other[OUTPUT]))


def shown(content: Content, answer: Answer, beside: Sequence[Answer]) -> str:
    """Return an answer for a page."""
    del content, beside
    response: str = answer[OUTPUT]
    return response or "(nothing)"


def content_of(record: Any) -> Content | None:
    """Return what the model reads of a raw record; None of what is none."""
    return {"text": record, OUTPUT: None} if is_text(record) else None


def output_columns() -> dict[str, str]:
    """Return the columns that are served, and the type of each."""
    return {OUTPUT: "string"}


def served(contents: Sequence[Content], answers: list[Answer]) -> list[dict[str, Any]]:
    """Return the served row of each record."""
    return [{OUTPUT: one[OUTPUT]} for _, one in zip(contents, answers, strict=True)]
