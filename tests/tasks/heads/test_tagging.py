"""Tagging: windows, spans, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.errors import BadInput
from tasks.heads import tagging
from tasks.heads._model import load_predictor
from tasks.metrics.scores import once_each
from tests.tasks.heads.conftest import Finetuned

IOB = ["B-X", "I-X", "B-Y", "I-Y", "O"]


def test_spans_begin_at_b_alone_and_end_where_their_type_does() -> None:
    spans = tagging.spans_of(["B-X", "I-X", "I-Y", "B-Y", "B-Y", "O", "I-X"])
    assert list(spans) == [(0, 2, "X"), (3, 4, "Y"), (4, 5, "Y")]


def test_the_f1_of_spans_is_that_of_counts_by_hand() -> None:
    true = [["B-X", "I-X", "O"], ["B-Y", "O"]]
    predicted = [["B-X", "I-X", "B-Y"], ["B-X", "O"]]
    prepared = tagging.prepare(true, predicted, IOB)
    measured = {n: f(once_each(2), prepared)[0] for n, f in tagging.measures(IOB).items()}
    # One of two true spans, one of three predicted ones; three of five tokens.
    assert measured == pytest.approx({"span_f1": 2 * 1 / (2 + 3), "token_accuracy": 3 / 5})
    twice_first = tagging.measures(IOB)["span_f1"](np.array([[2.0, 0.0]]), prepared)
    assert twice_first[0] == pytest.approx(2 * 2 / (2 + 4))


def test_accuracy_decides_where_the_tags_are_not_iob() -> None:
    assert tagging.decides(["at", "nn"]) == ("token_accuracy", True)
    assert tagging.decides(IOB) == ("span_f1", True)
    with pytest.raises(BadInput, match=r"the tag 'nn' is not in IOB, as 5 others are"):
        tagging.check_tags([*IOB, "nn"], Path("train.parquet"))
    with pytest.raises(BadInput, match="1 tags"):
        tagging.check_tags(["nn"], Path("train.parquet"))


def test_no_token_of_a_long_sentence_is_left_out(
    finetuned: Callable[[str], Finetuned],
) -> None:
    predictor = load_predictor(finetuned("tagging").model)
    words = ["The", "jury", "said"] * 20
    read = tagging.inputs(predictor.model.inner, [words, ["said"]])
    assert read.windows[1] > 4
    assert read.numbers.tolist() == [*range(60), 0]
    (answer, short) = predictor.answers([words, ["said"]])
    assert (len(answer), len(short)) == (60, 1)


def test_an_answer_does_not_depend_on_what_else_is_in_its_batch(
    finetuned: Callable[[str], Finetuned],
) -> None:
    result = finetuned("tagging")
    predictor = load_predictor(result.model)
    sentences = pq.read_table(result.splits["test"])["tokens"].to_pylist()[:12]
    assert predictor.answers(sentences) == [predictor.answers([one])[0] for one in sentences]


def test_spans_are_served_with_their_offsets_in_the_text() -> None:
    (row,) = tagging.served([["New", "York", "is", "big"]], [["B-X", "I-X", "O", "O"]])
    assert row["tags"] == ["B-X", "I-X", "O", "O"]
    assert row["spans"] == [{"start": 0, "end": 8, "label": "X", "text": "New York"}]


def test_baselines_are_what_they_say(finetuned: Callable[[str], Finetuned]) -> None:
    splits = finetuned("tagging").splits
    train, test = (pq.read_table(splits[part]) for part in ("train", "test"))
    answers = tagging.baselines(train, test)
    true = tagging.true_of(test)
    measure = tagging.measures(["at", "nn"])["token_accuracy"]
    accuracy = {
        who: measure(once_each(len(true)), tagging.prepare(true, given, []))[0]
        for who, given in answers.items()
    }
    assert 0.4 < accuracy["simple"] < accuracy["linear"] < 0.9


def test_of_an_answer_the_words_are_shown_around_those_that_another_tags_otherwise() -> None:
    words = ["the", "jury", "said", "it", "would", "meet", "again", "on", "Friday"]
    true = ["at", "nn", "vbd", "pps", "md", "vb", "rb", "in", "nr"]
    given = [*true[:2], "vbn", *true[3:]]
    assert tagging.shown(words, true, [true, given]) == "the jury said/vbd it would …"
    assert tagging.shown(words, given, [true, given]) == "the jury said/vbn it would …"
    assert tagging.shown(words, true, [true, true]) == "…"
    spans = tagging.shown(["New", "York", "is"], ["B-X", "I-X", "O"], [["O", "O", "O"]])
    assert spans == "[New York] X"
