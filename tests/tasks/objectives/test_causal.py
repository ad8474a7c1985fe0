"""Causal language modelling, by a GPT-2 and by an LSTM."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.contracts import records
from tasks.errors import BadInput, BadSettings
from tasks.inputs.tokenizer import SEPARATOR, load_tokenizer, token_id
from tasks.models.architectures import bert, gpt2, lstm
from tasks.models.initial.own import initial_of
from tasks.models.model import describe
from tasks.objectives import causal
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

SIZES: dict[Any, dict[str, int]] = {
    gpt2: {"layers": 1, "hidden_size": 64, "heads": 4, "positions": 64},
    lstm: {"layers": 1, "hidden_size": 64},
}
BOTH = pytest.mark.parametrize("architecture", [gpt2, lstm], ids=["gpt2", "lstm"])


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # tokens are cached in the current folder


def prepared(architecture: Any, texts: tuple[Path, Path], **settings: object) -> causal.Causal:
    make_deterministic(0)
    chosen = causal.Settings(**{"tokens": 48, "vocabulary_size": 500, **settings})
    return causal.prepare(
        architecture, architecture.Settings(**SIZES.get(architecture, {})), chosen, *texts
    )


def test_targets_are_the_next_tokens_and_each_stands_once(texts: tuple[Path, Path]) -> None:
    task = prepared(lstm, texts)
    everything = np.arange(len(task.lengths))
    batch = task.batch(everything, ExampleRandom(0, 0, everything))
    assert batch["input_ids"][:, 1:].equal(batch["targets"][:, :-1]) or int(task.lengths[-1]) < 48
    targets = batch["targets"][batch["targets"] != causal.NO_TARGET]
    stream = task._train.tokens(np.arange(len(task._train)))
    assert targets.tolist() == stream[1:].tolist()
    assert float(batch["counts"][0]) == task.lengths.sum() == len(stream) - 1
    assert batch["input_ids"].flatten()[: len(stream) - 1].tolist() == stream[:-1].tolist()


def test_a_window_does_not_depend_on_what_else_is_in_its_batch(texts: tuple[Path, Path]) -> None:
    task = prepared(lstm, texts)
    last = len(task.lengths) - 1
    whole = task.batch(np.array([3, last]), ExampleRandom(3, 5, range(2)))
    again = task.batch(np.array([3, last]), ExampleRandom(3, 5, range(2)))
    alone = task.batch(np.array([last]), ExampleRandom(3, 5, range(1)))
    length = int(task.lengths[last])
    assert all(whole[name].equal(again[name]) for name in whole)
    assert alone["input_ids"].shape == (1, length)
    assert whole["input_ids"][1, :length].equal(alone["input_ids"][0])
    assert whole["targets"][1, :length].equal(alone["targets"][0])
    third = task.batch(np.array([3]), ExampleRandom(3, 5, range(1)))
    task.model.eval()
    with torch.inference_mode():
        both, *each = (float(task._cross_entropy(one)) for one in (whole, alone, third))
    assert both == pytest.approx(sum(each), rel=1e-5)


@BOTH
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_no_token_sees_those_after_it(
    architecture: Any, attention: str, texts: tuple[Path, Path]
) -> None:
    model = prepared(architecture, texts).model.eval()
    if architecture is gpt2:
        model.set_attn_implementation(attention)
    ids = torch.randint(5, 400, (2, 20))
    other = torch.cat([ids[:, :12], torch.randint(5, 400, (2, 8))], dim=1)
    with torch.inference_mode():
        first, second = (model(input_ids=one).logits for one in (ids, other))
    assert torch.allclose(first[:, :12], second[:, :12], atol=1e-6)
    assert not torch.allclose(first[:, 12:], second[:, 12:], atol=1e-2)


@BOTH
def test_it_learns_more_than_how_frequent_tokens_are(
    architecture: Any, texts: tuple[Path, Path]
) -> None:
    task = prepared(architecture, texts)
    train(task, TrainingSettings(epochs=9, learning_rate=1e-2, batch_size=8), 0, "causal")
    after = task.validate()
    assert after["perplexity"] < 0.75 * after["unigram_perplexity"]
    assert after["bits_per_byte"] < after["unigram_bits_per_byte"]
    assert after["perplexity"] == pytest.approx(np.exp(after["loss"]))


def test_parts_of_a_batch_add_up_to_the_whole(texts: tuple[Path, Path]) -> None:
    losses = []
    for accumulation in (1, 3):
        task = prepared(lstm, texts)
        task.model.encoder._dropout = 0.0
        settings = TrainingSettings(
            epochs=1, batch_size=40, accumulation=accumulation, precision="fp32"
        )
        losses.append(train(task, settings, 0, "causal") + list(task.validate().values()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_bits_per_byte_are_those_of_all_tokens_over_the_bytes_they_stand_for(
    texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal, "TEXTS_AT_ONCE", 7)
    task = prepared(lstm, texts)
    metrics = task.validate()
    held_out = records.read_table(texts[1])["text"].to_pylist()
    told = [
        task._tokenizer.decode(task._tokenizer.encode(text, add_special_tokens=False).ids)
        for text in held_out
    ]
    num_bytes = sum(len(text.encode()) for text in told)
    bits = metrics["loss"] / np.log(2) * (len(task._validation) - 1)
    assert metrics["bits_per_byte"] == pytest.approx(bits / num_bytes, rel=2e-3)


def test_what_a_tokenizer_drops_is_no_byte_that_was_told(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    """Texts with accents and blanks that the tokenizer drops: the same tokens, the same figure."""
    table = records.read_table(texts[1])
    padded = [f"   {text.replace(' ', '      ')}      " for text in table["text"].to_pylist()]
    column = table.schema.get_field_index("text")
    blanks = table.set_column(column, table.schema.field(column), [padded])
    records.write_records(tmp_path / "blanks.parquet", blanks.schema, blanks.to_batches())
    plain, padded_task = (
        prepared(lstm, (texts[0], path)) for path in (texts[1], tmp_path / "blanks.parquet")
    )
    assert plain._validation_bytes == padded_task._validation_bytes


def test_byte_level_bits_per_byte_count_every_byte_of_the_texts(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    """Blanks between sentences, line ends, accents and case included."""
    table = records.read_table(texts[1])
    odd = [f"  {text}.\n\n\t{text.upper()}é [SEP]\0  " for text in table["text"].to_pylist()]
    column = table.schema.get_field_index("text")
    with_blanks = table.set_column(column, table.schema.field(column), [odd])
    records.write_records(tmp_path / "odd.parquet", table.schema, with_blanks.to_batches())
    task = prepared(lstm, (texts[0], tmp_path / "odd.parquet"), tokenizer="bytes")
    num_bytes = sum(len(text.encode()) for text in odd)
    assert task._validation_bytes == num_bytes
    stream = task._validation.tokens(np.arange(len(task._validation)))
    between = token_id(SEPARATOR)
    assert int((stream == between).sum()) == len(odd) + 1
    ends = np.flatnonzero(stream == between)
    told = [task._tokenizer.decode(stream[i + 1 : j].tolist()) for i, j in pairwise(ends.tolist())]
    assert told == odd
    metrics = task.validate()
    bits = metrics["loss"] / np.log(2) * (len(stream) - 1)
    assert metrics["bits_per_byte"] == pytest.approx(bits / num_bytes)


@BOTH
def test_a_byte_level_model_learns_and_is_gone_on_from_without_loss(
    architecture: Any, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    task = prepared(architecture, texts, tokenizer="bytes", tokenizer_sample=20_000)
    train(task, TrainingSettings(epochs=3, learning_rate=1e-2, batch_size=8), 0, "causal")
    after = task.validate()
    assert after["bits_per_byte"] < after["unigram_bits_per_byte"]
    task.save(tmp_path / "model")
    name = architecture.__name__.rpartition(".")[2]
    describe(tmp_path / "model", architecture=name, modality="text")
    chosen = causal.Settings(tokens=48)
    further = causal.prepare(
        architecture, None, chosen, *texts, initial=initial_of(tmp_path / "model")
    )
    assert further._validation_bytes == task._validation_bytes
    assert further.validate() == pytest.approx(after, rel=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vocabulary_size": 260}, "tokenizer: bytes needs 261 tokens for bytes alone: raise it"),
        ({"tokenizer": None, "tokenizer_sample": 9}, "is of tokenizer: bytes: set that, or drop"),
    ],
)
def test_settings_of_bytes_that_do_not_fit_are_refused(
    given: dict[str, object], message: str
) -> None:
    with pytest.raises(BadSettings, match=message):
        causal.Settings.parse({"tokenizer": "bytes", **given}, "causal")


@BOTH
def test_what_is_saved_gives_the_same_logits(
    architecture: Any, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    task = prepared(architecture, texts)
    task.save(tmp_path / "model")
    parts = architecture.load_parts(tmp_path / "model", pretrained=True, dropout=0.0)
    ids = task.batch(np.arange(2), ExampleRandom(0, 0, range(2)))["input_ids"]
    model = task.model.eval()
    own = model.transformer if architecture is gpt2 else model.encoder
    with torch.inference_mode():
        expected = own(input_ids=ids).last_hidden_state
        assert parts.encoder.eval()(input_ids=ids).last_hidden_state.equal(expected)
    tokens = load_tokenizer(tmp_path / "model").encode("oil prices rose").ids
    assert tokens.count(token_id(SEPARATOR)) == 1
    assert tokens[0] == token_id(SEPARATOR)


def test_transformers_loads_a_gpt2_with_its_head(texts: tuple[Path, Path], tmp_path: Path) -> None:
    from transformers import AutoModel, AutoModelForCausalLM

    task = prepared(gpt2, texts)
    task.save(tmp_path / "model")
    ids = task.batch(np.arange(2), ExampleRandom(0, 0, range(2)))["input_ids"]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model", attn_implementation="eager")
    with torch.inference_mode():
        assert loaded.eval()(ids).logits.equal(task.model.eval()(ids).logits)
    assert type(AutoModel.from_pretrained(tmp_path / "model")).__name__ == "GPT2Model"


def test_an_architecture_that_sees_what_comes_is_refused(texts: tuple[Path, Path]) -> None:
    message = (
        r"the objective 'causal' needs a causal architecture, which "
        r"'bert' is not: set architecture: gpt2 or lstm"
    )
    with pytest.raises(BadSettings, match=message):
        prepared(bert, texts)


def test_windows_longer_than_the_models_positions_are_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match=r"causal\.tokens is 100, but the model has 64 positions"):
        prepared(gpt2, texts, tokens=100)


def test_images_are_refused(images: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds images; the objective 'causal' needs text"):
        prepared(lstm, images)


def test_a_vocabulary_that_the_corpus_does_not_support_is_refused(
    texts: tuple[Path, Path],
) -> None:
    with pytest.raises(BadInput, match=r"causal\.vocabulary_size is 90000, but .* supports"):
        prepared(lstm, texts, vocabulary_size=90000)
