"""Skip-gram with negative sampling."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import records
from tasks.errors import BadInput, BadSettings
from tasks.inputs.documents import Documents
from tasks.inputs.tokenizer import token_id
from tasks.models.architectures import lstm, wordvectors
from tasks.objectives import skipgram
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # tokens are cached in the current folder


def prepared(
    texts: tuple[Path, Path], architecture: Any = wordvectors, **settings: Any
) -> skipgram.SkipGramTask:
    make_deterministic(0)
    chosen = skipgram.Settings(**{"vocabulary_size": 500, **settings})
    return skipgram.prepare(architecture, architecture.Settings(hidden_size=32), chosen, *texts)


def documents(lengths: list[int]) -> Documents:
    starts = np.cumsum([0, *lengths])
    return Documents(np.arange(sum(lengths), dtype=np.int32), starts, starts[:-1])


@given(lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6), tokens=st.integers(2, 12))
def test_windows_cover_all_texts_but_single_tokens(lengths: list[int], tokens: int) -> None:
    found = skipgram.windows_of(documents(lengths), tokens)
    starts = np.cumsum([0, *lengths])
    expected = [
        (begin, min(begin + tokens, end))
        for start, end in pairwise(starts)
        for begin in range(start, end, tokens)
        if min(begin + tokens, end) - begin >= 2
    ]
    assert [tuple(window) for window in found.tolist()] == expected


@given(reach=st.lists(st.integers(1, 5), min_size=2, max_size=12))
def test_neighbours_are_all_places_within_reach_of_the_centre(reach: list[int]) -> None:
    centres, contexts = skipgram.neighbours(np.array(reach))
    expected = {
        (i, j) for i in range(len(reach)) for j in range(len(reach)) if 0 < abs(i - j) <= reach[i]
    }
    assert set(zip(centres.tolist(), contexts.tolist(), strict=True)) == expected
    assert len(centres) == len(expected)


def test_noise_follows_the_unigram_to_the_three_quarters() -> None:
    tokens = np.repeat([5, 6, 7], [81, 16, 1]).astype(np.int32)
    noise = skipgram.Noise(
        Documents(tokens, np.array([0, 98]), np.array([0])), vocabulary_size=9, subsampling=0.1
    )
    drawn = np.bincount(noise.draw((36000,), np.random.default_rng(0)), minlength=9) / 36000
    assert drawn[[0, 1, 2, 3, 4, 8]].sum() == 0
    assert drawn[5:8] == pytest.approx([27 / 36, 8 / 36, 1 / 36], abs=0.01)
    assert noise.kept[5] == pytest.approx(np.sqrt(0.1 / (81 / 98)))
    assert noise.kept[7] == 1.0


def test_without_subsampling_contexts_stand_in_the_text(texts: tuple[Path, Path]) -> None:
    task = prepared(texts, subsampling=1.0, window=1, negatives=3)
    batch = task.batch(np.array([4]), ExampleRandom(0, 0, range(1)))
    begin, end = task._train[1][4]
    tokens = task._train[0].tokens[begin:end].tolist()
    forwards = list(pairwise(tokens))
    pairs = forwards + [(context, centre) for centre, context in forwards]
    found = list(zip(batch["centres"].tolist(), batch["contexts"][:, 0].tolist(), strict=True))
    assert sorted(found) == sorted(pairs)
    assert batch["contexts"].shape == (len(pairs), 4)
    assert float(batch["counts"][0]) == len(pairs)


def test_frequent_tokens_are_dropped_more(texts: tuple[Path, Path]) -> None:
    everything = np.arange(100)
    sizes = []
    for share in (1.0, 1e-2, 1e-3, 1e-4):
        task = prepared(texts, subsampling=share)
        sizes.append(len(task.batch(everything, ExampleRandom(0, 0, everything))["centres"]))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < 0.3 * sizes[0]


def test_a_batch_is_a_pure_function_and_its_examples_are_independent(
    texts: tuple[Path, Path],
) -> None:
    task = prepared(texts)
    whole = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    task.batch(np.arange(8), ExampleRandom(3, 6, range(8)))
    again = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    assert all(whole[name].equal(again[name]) for name in whole)
    parts = [task.batch(np.array([i]), ExampleRandom(3, 5, np.array([i]))) for i in range(8)]
    for name in ("centres", "contexts"):
        assert torch.cat([part[name] for part in parts]).equal(whole[name])
    other = task.batch(np.arange(8), ExampleRandom(3, 6, range(8)))
    assert len(other["centres"]) != len(whole["centres"])


def test_scores_of_zero_cost_what_is_reported(texts: tuple[Path, Path]) -> None:
    metrics = prepared(texts, negatives=4).validate()
    assert metrics["loss"] == pytest.approx(5 * np.log(2))  # context vectors begin at 0
    assert metrics["zero_loss"] == pytest.approx(5 * np.log(2))
    assert metrics["unigram_loss"] < metrics["zero_loss"]


def test_it_learns_more_than_how_frequent_tokens_are(texts: tuple[Path, Path]) -> None:
    task = prepared(texts, window=2, subsampling=1e-2)
    train(task, TrainingSettings(epochs=12, learning_rate=2e-2, batch_size=4), 0, "skipgram")
    after = task.validate()
    assert after["loss"] < 0.95 * after["unigram_loss"]
    assert task.validate() == after


def test_parts_of_a_batch_add_up_to_the_whole(texts: tuple[Path, Path]) -> None:
    losses = []
    for accumulation in (1, 3):
        task = prepared(texts, tokens=32)
        settings = TrainingSettings(
            epochs=1, batch_size=80, accumulation=accumulation, precision="fp32"
        )
        losses.append(train(task, settings, 0, "skipgram") + list(task.validate().values()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_what_is_saved_is_the_vectors_and_a_tokenizer_without_special_tokens(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    task = prepared(texts)
    task.save(tmp_path / "model")
    parts = wordvectors.load_parts(tmp_path / "model", pretrained=True, dropout=0.0)
    vectors = task.model.encoder.embedding.weight
    assert next(parts.encoder.parameters()).equal(vectors)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "model")
    ids = loaded("oil prices")["input_ids"]
    assert loaded.convert_ids_to_tokens(ids)[0].startswith("o")


def test_an_architecture_that_reads_on_is_refused(texts: tuple[Path, Path]) -> None:
    message = r"'skipgram' needs a single-token architecture, which 'lstm' is not"
    with pytest.raises(BadSettings, match=message):
        prepared(texts, lstm)


def test_images_are_refused(images: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds images; the objective 'skipgram' needs text"):
        prepared(images)


def test_texts_of_single_tokens_are_refused(texts: tuple[Path, Path], tmp_path: Path) -> None:
    schema = records.split_schema("text")
    table = records.read_table(texts[1]).slice(0, 2).to_pylist()
    alone = tmp_path / "validation.parquet"
    rows = [{**row, "text": "."} for row in table]
    records.write_records(alone, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    with pytest.raises(BadInput, match=r"validation\.parquet has no text of two tokens"):
        prepared((texts[0], alone))


def test_vectors_of_tokens_that_no_batch_touches_stay_as_they_were(
    texts: tuple[Path, Path],
) -> None:
    task = prepared(texts)
    never = [token_id(name) for name in ("[PAD]", "[MASK]")]
    before = [value.detach()[never].clone() for value in task.model.parameters()]
    train(task, TrainingSettings(epochs=1, learning_rate=0.1, weight_decay=1.0), 0, "vectors")
    after = [value.detach()[never] for value in task.model.parameters()]
    assert all(one.equal(other) for one, other in zip(before, after, strict=True))
