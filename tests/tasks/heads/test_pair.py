"""Pair: two segments, answers that are right or wrong, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import accuracy_score, f1_score

from tasks.contracts import records
from tasks.contracts.files import sha256_of_text
from tasks.errors import BadInput
from tasks.evaluate.headed import seen_by
from tasks.heads import _evidence as evidence
from tasks.heads import pair
from tasks.heads._model import load_predictor
from tasks.heads.pair import Answer
from tasks.inputs.tokenizer import add_no_special_tokens
from tasks.metrics.scores import once_each
from tasks.metrics.significance import mcnemar_exact
from tasks.models.origin import Overlap, write_origin
from tasks.models.text import TextBackbone
from tests.tasks.heads.conftest import Finetuned, Splits


def answers_of(labels: np.ndarray) -> list[Answer]:
    """Return answers that are sure of themselves."""
    return [{"label": one, "scores": [{"label": one, "score": 1.0}]} for one in labels.tolist()]


def test_metrics_are_those_of_another_implementation_on_every_resample() -> None:
    random = np.random.default_rng(5)
    true, given = (random.choice(["a", "b", "c"], 40) for _ in range(2))
    counts = np.stack([np.ones(40), random.multinomial(40, np.ones(40) / 40)])
    prepared = pair.prepare(answers_of(true), answers_of(given), ["a", "b", "c"])
    measured = {name: f(counts, prepared) for name, f in pair.measures([]).items()}
    for row, times in enumerate(counts.astype(int)):
        wanted, found = np.repeat(true, times), np.repeat(given, times)
        assert measured["accuracy"][row] == pytest.approx(accuracy_score(wanted, found))
        assert measured["macro_f1"][row] == pytest.approx(f1_score(wanted, found, average="macro"))
        # Of answers that are sure, every wrong one is a surprise.
        assert measured["ece"][row] == pytest.approx(1 - accuracy_score(wanted, found))


def test_two_models_are_compared_by_mcnemars_test(corpora: dict[str, Splits]) -> None:
    test = evidence.read_test(corpora["pairs"]["test"], "pair")
    labels = np.array([one["label"] for one in test.true])
    ours, theirs = labels.copy(), labels.copy()
    ours[:2], theirs[1:9] = "wrong", "wrong"
    better_by, p_value = evidence.difference(test, answers_of(ours), answers_of(theirs), [])
    assert better_by == pytest.approx((7 - 1) / len(test))
    assert p_value == pytest.approx(float(mcnemar_exact(7, 1)))
    low, high = evidence.tango_interval(test, answers_of(ours), answers_of(theirs), 0.95)
    assert 0 < low < better_by < high


def test_both_texts_are_read_as_two_segments_and_the_longer_one_is_cut(backbone: Path) -> None:
    loaded = TextBackbone(backbone)  # takes 16 pieces
    read = pair.inputs(loaded, [("love it", "a dress"), ("love " * 40, "a dress")])
    separator, start = (loaded.tokenizer.token_to_id(name) for name in ("[SEP]", "[CLS]"))
    short, long = (
        read.pieces[a:b].tolist() for a, b in zip(read.starts, read.starts[1:], strict=False)
    )
    assert short[0] == start
    assert short.count(separator) == long.count(separator) == 2
    assert len(long) == 16
    second = short[short.index(separator) :]
    assert long[-len(second) :] == second
    batch = read.batch(np.array([0, 1]))
    assert batch["token_type_ids"][0].tolist() == [
        *[0] * (len(short) - len(second) + 1), *[1] * (len(second) - 1), *[0] * (16 - len(short))
    ]  # fmt: skip
    assert batch["attention_mask"].sum(dim=1).tolist() == [len(short), 16]


def test_a_special_token_in_a_text_is_plain_text_and_moves_no_border(backbone: Path) -> None:
    loaded = TextBackbone(backbone)
    written = ("a [SEP] dress", "[CLS][PAD] it [MASK]")
    tokens = [[loaded.tokenizer.id_to_token(n) for n in pair.inputs(loaded, [both]).pieces]
              for both in (("a dress", "it"), written)]  # fmt: skip
    for name, times in {"[SEP]": 2, "[CLS]": 1, "[PAD]": 0, "[MASK]": 0}.items():
        assert [found.count(name) for found in tokens] == [times, times]
    read = pair.inputs(loaded, [written, ("a", "[SEP] dress [SEP] it")])
    assert read.segments[: read.starts[1]].sum() < read.segments[read.starts[1] :].sum()


def test_a_tokenizer_without_tokens_of_its_own_keeps_the_texts_apart(
    causal_backbone: Path,
) -> None:
    loaded = TextBackbone(causal_backbone)
    loaded.cut_to(16)
    add_no_special_tokens(loaded.tokenizer)  # as GPT-2's own
    first, line, second = (loaded.tokenizer.encode(text).ids for text in ("hi", "\n", "a dress"))
    read = pair.inputs(loaded, [("hi", "a dress"), ("hi " * 40, "a dress")])
    assert read.pieces[: read.starts[1]].tolist() == [*first, *line, *second]
    cut = read.pieces[read.starts[1] :].tolist()
    assert len(cut) == 16
    assert cut[-len([*line, *second]) :] == [*line, *second]


def test_the_second_text_counts_and_its_segment_does(
    finetuned: Callable[[str], Finetuned],
) -> None:
    predictor = load_predictor(finetuned("pair").model)

    def scores(first: str, second: str) -> list[float]:
        (answer,) = predictor.answers([(first, second)])
        return [one["score"] for one in answer["scores"]]

    there = scores("love this dress", "great pants")
    assert there != scores("love this dress", "great dress")
    assert there != scores("great pants", "love this dress")
    assert sum(there) == pytest.approx(1)


def test_raw_pairs_are_served_in_a_list_or_by_name(
    finetuned: Callable[[str], Finetuned],
) -> None:
    predictor = load_predictor(finetuned("pair").model)
    named = {"text": "love it", "text_b": "a dress"}
    one, other = predictor.served([["love it", "a dress"], named])
    assert one["scores"] == pytest.approx(other["scores"])
    assert one["label"] == other["label"] == max(one["scores"], key=one["scores"].__getitem__)
    assert one["score"] == one["scores"][one["label"]]
    for malformed in ("love it", ["love it"], [1, 2], {"text": "a"}, ["a", "b", "c"], None):
        with pytest.raises(BadInput, match="record 0 is not a pair of texts"):
            predictor.served([malformed])


def test_any_two_texts_are_answered_and_what_is_none_is_refused(
    finetuned: Callable[[str], Finetuned],
) -> None:
    predictor = load_predictor(finetuned("pair").model)
    texts = ["", "love it", "\0", "\u202eevol ti\u202c", "[SEP]"]
    pairs = [[first, second] for first in texts for second in texts]
    rows = predictor.served([*pairs, ["love it", "dress " * 180_000]])
    assert all(sum(row["scores"].values()) == pytest.approx(1) for row in rows)
    for malformed in (["love it", ["a dress"]], ["love it", 3.5], ["love it", "\ud800"]):
        with pytest.raises(BadInput, match="record 0 is not a pair of texts"):
            predictor.served([malformed])


def test_what_a_backbone_of_texts_alone_has_seen_is_told(
    corpora: dict[str, Splits], tmp_path: Path
) -> None:
    test = evidence.read_test(corpora["pairs"]["test"], "pair")
    assert seen_by(tmp_path, test) is None
    texts = corpora["reviews"]["train"]
    write_origin(tmp_path, texts)
    known = {*records.read_table(texts)["text"].to_pylist()}
    num_seen = sum(text in known for text, _ in test.contents)
    assert seen_by(tmp_path, test) == Overlap(num_seen, len(test))
    assert num_seen > 20
    # A backbone reads the first texts of pairs: it knows them beside other second ones.
    table = records.read_table(corpora["pairs"]["test"])
    others = [sha256_of_text(identity) for identity in test.ids]
    table = table.set_column(0, table.schema.field("id"), [others])
    records.write_records(tmp_path / "others", table.schema, table.to_batches())
    write_origin(tmp_path, tmp_path / "others")
    assert seen_by(tmp_path, test) == Overlap(len(test), len(test))


def test_a_corpus_without_second_texts_or_with_one_class_is_refused(
    corpora: dict[str, Splits], backbone: Path, tmp_path: Path
) -> None:
    loaded = TextBackbone(backbone)
    with pytest.raises(BadInput, match="has no target 'text_b'"):
        pair.read_corpus(loaded, corpora["reviews"])
    table = records.read_table(corpora["pairs"]["train"])
    none = table.set_column(2, table.schema.field("label"), pa.nulls(table.num_rows, pa.string()))
    records.write_records(tmp_path / "none", none.schema, none.to_batches())
    with pytest.raises(BadInput, match="no record has a label: name its column in `label` of the"):
        pair.read_corpus(loaded, {**corpora["pairs"], "train": tmp_path / "none"})
    same = table.set_column(2, table.schema.field("label"), [["x"] * table.num_rows])
    records.write_records(tmp_path / "same", same.schema, same.to_batches())
    splits: Splits = {"train": tmp_path / "same", "validation": corpora["pairs"]["validation"]}
    with pytest.raises(BadInput, match=r"has 1 classes \(x\): two at least"):
        pair.read_corpus(loaded, splits)


def test_the_linear_baseline_reads_both_texts(corpora: dict[str, Splits]) -> None:
    train, test = (pq.read_table(corpora["pairs"][part]) for part in ("train", "test"))
    true = pair.true_of(test)
    accuracy = {
        who: pair.measures([])["accuracy"](once_each(len(true)), pair.prepare(true, given, []))[0]
        for who, given in pair.baselines(train, test).items()
    }
    assert 0.2 < accuracy["simple"] < accuracy["linear"] < 0.95
    assert pair._shared_words([("a Red dress", "red")]) == ["shared red"]
