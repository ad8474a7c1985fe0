"""Masked language modelling with next-sentence prediction."""

from pathlib import Path

import numpy as np
import pytest

from tasks.errors import BadInput
from tasks.inputs.tokenizer import SPECIAL_TOKENS, token_id
from tasks.models.architectures import bert
from tasks.objectives import masked
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

SIZES = bert.Settings(layers=1, hidden_size=32, heads=2, positions=64)


def prepared(
    texts: tuple[Path, Path], sizes: bert.Settings = SIZES, **settings: object
) -> masked.Masked:
    make_deterministic(0)
    chosen = masked.Settings(**{"tokens": 48, "vocabulary_size": 500, **settings})
    return masked.prepare(bert, sizes, chosen, *texts)


def test_a_batch_masks_about_the_asked_share_and_never_a_special_token(
    texts: tuple[Path, Path],
) -> None:
    task = prepared(texts, probability=0.2)
    batch = task.batch(np.arange(64), ExampleRandom(0, 0, range(64)))
    ids, targets = batch["input_ids"], batch["targets"]
    ordinary = int(batch["attention_mask"].sum()) - 3 * len(ids)
    assert 0.17 < len(targets) / ordinary < 0.23
    assert int(targets.min()) >= len(SPECIAL_TOKENS)
    hidden = ids.flatten()[batch["positions"]]
    assert 0.72 < float((hidden == token_id("[MASK]")).float().mean()) < 0.88
    assert 0.02 < float((hidden == targets).float().mean()) < 0.18


def test_half_of_the_pairs_are_of_two_texts_and_segments_are_marked(
    texts: tuple[Path, Path],
) -> None:
    task = prepared(texts)
    batch = task.batch(np.arange(180), ExampleRandom(0, 0, range(180)))
    assert 0.38 < float(batch["is_random"].float().mean()) < 0.62
    row = batch["token_type_ids"][0].tolist()
    assert row == sorted(row[: sum(batch["attention_mask"][0])]) + [0] * (
        len(row) - int(batch["attention_mask"][0].sum())
    )
    assert batch["input_ids"].shape[1] <= 48


def test_a_batch_is_a_pure_function_of_seed_and_step(texts: tuple[Path, Path]) -> None:
    task = prepared(texts)
    first = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    task.batch(np.arange(8), ExampleRandom(3, 6, range(8)))
    again = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    assert all(first[name].equal(again[name]) for name in first)


def test_an_example_does_not_depend_on_what_else_is_in_its_batch(
    texts: tuple[Path, Path],
) -> None:
    task = prepared(texts)
    whole = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    part = task.batch(np.array([5]), ExampleRandom(3, 5, np.array([5])))
    length = part["input_ids"].shape[1]
    assert whole["input_ids"][5, :length].equal(part["input_ids"][0])
    assert whole["is_random"][5].equal(part["is_random"][0])


def test_lengths_are_worked_out_once_for_all_steps(texts: tuple[Path, Path]) -> None:
    task = prepared(texts)
    assert task.lengths is task.lengths
    batch = task.batch(np.arange(180), ExampleRandom(0, 0, range(180)))
    # A pair with a stranger is as long too, so that batches by length have little padding.
    assert 0 < int(batch["is_random"].sum()) < 180
    assert task.lengths.tolist() == batch["attention_mask"].sum(1).tolist()


def test_it_learns_more_than_how_frequent_tokens_are(texts: tuple[Path, Path]) -> None:
    sizes = bert.Settings(layers=1, hidden_size=64, heads=4, positions=64)
    task = prepared(texts, sizes, probability=0.2)
    train(task, TrainingSettings(epochs=40, learning_rate=3e-3, batch_size=16), 0, "masked")
    found = task.validate()
    assert found["perplexity"] < 0.8 * found["unigram_perplexity"]
    assert found["masked_accuracy"] > found["unigram_masked_accuracy"] + 0.03
    assert 0.5 <= found["majority_next_sentence_accuracy"] < 0.65


def test_without_next_sentence_the_second_segment_always_follows(
    texts: tuple[Path, Path],
) -> None:
    task = prepared(texts, next_sentence=False)
    batch = task.batch(np.arange(32), ExampleRandom(0, 0, range(32)))
    assert int(batch["is_random"].sum()) == 0
    assert "next_sentence_accuracy" not in task.validate()


def test_examples_longer_than_the_models_positions_are_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match=r"masked\.tokens is 100, but the model has 64 positions"):
        prepared(texts, tokens=100)


def test_images_are_refused(images: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds images; the objective 'masked' needs text"):
        prepared(images)


def test_training_the_tokenizer_twice_gives_the_same_bytes(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        prepared(texts).save(tmp_path / name)
    one, two = ((tmp_path / name / "tokenizer.json").read_bytes() for name in ("one", "two"))
    assert one == two


def test_embeddings_start_from_vectors_of_co_occurrence_where_texts_have_the_token(
    texts: tuple[Path, Path],
) -> None:
    plain, started, again = (
        prepared(texts, embeddings=embeddings)
        for embeddings in (None, "cooccurrence", "cooccurrence")
    )
    before, after, same = (
        task.model.get_input_embeddings().weight.detach() for task in (plain, started, again)
    )
    assert after.equal(same)
    tokens = started.train_pairs.documents.tokens.astype(np.int64)
    seen = np.flatnonzero(np.bincount(tokens) > 3)
    sizes = after[seen].square().mean(dim=1).sqrt()
    assert sizes.numpy() == pytest.approx(np.full(len(seen), 0.1), abs=1e-5)
    never = [token_id(name) for name in SPECIAL_TOKENS if token_id(name) not in tokens]
    assert after[never].equal(before[never])
    others = {n: v for n, v in started.model.named_parameters() if "word_embeddings" not in n}
    values = dict(plain.model.named_parameters())
    assert all(value.equal(values[name]) for name, value in others.items())
    assert (
        started.model.cls.predictions.decoder.weight is started.model.get_input_embeddings().weight
    )


def test_a_bert_that_starts_from_vectors_learns_faster(texts: tuple[Path, Path]) -> None:
    losses = []
    for embeddings in (None, "cooccurrence"):
        task = prepared(texts, embeddings=embeddings, next_sentence=False)
        train(task, TrainingSettings(epochs=3, batch_size=16, learning_rate=3e-3), 0, "bert")
        losses.append(task.validate()["loss"])
    assert losses[1] < losses[0] - 0.02


def test_a_vocabulary_that_is_no_larger_than_its_vectors_has_none(
    texts: tuple[Path, Path],
) -> None:
    sizes = bert.Settings(layers=1, hidden_size=512, heads=2, positions=64)
    with pytest.raises(BadInput, match=r"masked\.embeddings: vectors of 512 numbers need a larger"):
        prepared(texts, sizes, embeddings="cooccurrence")
