"""Replaced-token detection."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.contracts import files
from tasks.errors import BadInput, BadSettings, Preempted
from tasks.inputs.tokenizer import SPECIAL_TOKENS
from tasks.models.architectures import bert, gpt2
from tasks.models.model import describe, load_backbone
from tasks.objectives import replaced
from tasks.training.checkpoints import Checkpoints
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import Batch, ExampleRandom

SIZES = bert.Settings(layers=1, hidden_size=32, heads=2, positions=64)


def prepared(
    texts: tuple[Path, Path], sizes: bert.Settings = SIZES, **settings: object
) -> replaced.Replaced:
    make_deterministic(0)
    chosen = replaced.Settings(**{"tokens": 48, "vocabulary_size": 500, **settings})
    return replaced.prepare(bert, sizes, chosen, *texts)


def test_tokens_are_drawn_as_often_as_their_shares_say() -> None:
    for num_tokens in (1, 2, 7, 50, 501):
        logits = torch.randn(1, num_tokens, generator=torch.Generator().manual_seed(num_tokens))
        shares = logits.softmax(1)[0].double()
        # Numbers that are spread evenly draw each token in proportion, to one of them.
        uniform = (torch.arange(20_000) + 0.5) / 20_000
        drawn = replaced.draw(logits.expand(len(uniform), -1), uniform)
        found = torch.bincount(drawn, minlength=num_tokens) / len(uniform)
        assert len(found) == num_tokens
        assert (found - shares).abs().max() < 2 / len(uniform)


def test_no_token_without_a_share_is_drawn() -> None:
    logits = torch.full((3, 10), -1e9)
    logits[:, 7] = 0
    uniform = torch.tensor([0.0, 0.5, 1 - 1e-12], dtype=torch.float64)
    assert replaced.draw(logits, uniform).tolist() == [7, 7, 7]


def test_a_batch_is_a_pure_function_of_seed_and_step(texts: tuple[Path, Path]) -> None:
    task = prepared(texts)
    first = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    other = task.batch(np.arange(8), ExampleRandom(3, 6, range(8)))
    again = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    assert all(first[name].equal(again[name]) for name in first)
    assert not torch.equal(first["uniform"][:8], other["uniform"][:8])


def test_an_example_does_not_depend_on_what_else_is_in_its_batch(
    texts: tuple[Path, Path],
) -> None:
    task = prepared(texts)
    whole = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    part = task.batch(np.array([5]), ExampleRandom(3, 5, np.array([5])))
    length, own = whole["input_ids"].shape[1], part["input_ids"].shape[1]
    assert whole["input_ids"][5, :own].equal(part["input_ids"][0])
    in_fifth = whole["positions"] // length == 5
    assert whole["uniform"][in_fifth].equal(part["uniform"])
    assert len(whole["uniform"]) == len(whole["targets"]) == int(whole["counts"][0])
    assert int(whole["attention_mask"].sum()) == int(whole["counts"][1])


def test_padding_is_not_judged(texts: tuple[Path, Path]) -> None:
    task = prepared(texts)
    task.model.eval()
    batch = task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))
    assert not batch["attention_mask"].all()
    parts = [
        task.batch(np.array([index]), ExampleRandom(3, 5, np.array([index]))) for index in range(8)
    ]
    with torch.no_grad():
        whole = task.loss(batch)
        alone = sum(task.loss({**part, "counts": batch["counts"]}) for part in parts)
    assert torch.allclose(whole, torch.as_tensor(alone), rtol=1e-4)


def test_the_detection_teaches_the_generator_nothing_but_their_embeddings(
    texts: tuple[Path, Path],
) -> None:
    def gradients(weight: float) -> dict[str, torch.Tensor]:
        task = prepared(texts, detection_weight=weight)
        task.model.eval()
        task.loss(task.batch(np.arange(8), ExampleRandom(3, 5, range(8)))).backward()
        return {
            name: value.grad
            for name, value in task.model.named_parameters()
            if value.grad is not None
        }

    light, heavy = gradients(1.0), gradients(50.0)
    same = {name for name, value in light.items() if torch.allclose(value, heavy[name])}
    generators = {name for name in light if name.startswith("generator.")}
    assert len(generators) > 10
    assert generators <= same
    # A bias of keys moves no attention: it has no gradient of its own.
    others = {name for name in light if name not in generators and "key.bias" not in name}
    assert len(others) > 10
    assert not others & same


def test_both_share_their_embeddings_and_the_generator_is_narrower(
    texts: tuple[Path, Path],
) -> None:
    sizes = bert.Settings(layers=2, hidden_size=64, heads=4, positions=64)
    task = prepared(texts, sizes)
    generator, backbone = task.model["generator"], task.model["backbone"]
    assert generator.electra.embeddings is backbone.embeddings
    assert generator.generator_lm_head.weight is backbone.embeddings.word_embeddings.weight
    config = generator.config
    shape = (config.hidden_size, config.num_attention_heads, config.num_hidden_layers)
    assert shape == (16, 1, 2)


def test_it_finds_more_than_one_who_knows_how_many_are_replaced(
    texts: tuple[Path, Path],
) -> None:
    sizes = bert.Settings(layers=1, hidden_size=64, heads=4, positions=64)
    task = prepared(texts, sizes)
    before = task.validate()
    train(task, TrainingSettings(epochs=40, learning_rate=3e-3, batch_size=16), 0, "replaced")
    found = task.validate()
    assert found["loss"] < 0.985 * found["prior_loss"]
    assert found["perplexity"] < 0.95 * found["unigram_perplexity"] < before["perplexity"]
    assert 0.7 < found["majority_accuracy"] <= found["accuracy"] + 0.02


def test_a_training_that_is_stopped_goes_on_to_the_same_bytes(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = TrainingSettings(epochs=1, batch_size=16)
    undisturbed, stopped, resumed = (prepared(texts) for _ in range(3))
    train(undisturbed, settings, 0, "replaced")
    steps = []

    def stop_in_the_fifth(batch: Batch) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return replaced.Replaced.loss(stopped, batch)

    stopped.loss = stop_in_the_fifth  # type: ignore[method-assign]
    with pytest.raises(Preempted, match="at step 5"):
        train(stopped, settings, 0, "replaced", checkpoints=Checkpoints(tmp_path / "kept"))
    make_deterministic(1)
    train(resumed, settings, 0, "replaced", checkpoints=Checkpoints(tmp_path / "kept"))
    weights = [dict(task.model.named_parameters()) for task in (undisturbed, resumed)]
    assert all(value.equal(weights[1][name]) for name, value in weights[0].items())
    assert undisturbed.validate() == resumed.validate()


def test_a_backbone_is_a_bert_whose_pooler_nothing_has_trained(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    from transformers import AutoModel, AutoTokenizer

    task = prepared(texts)
    for name in ("one", "two"):
        task.save(tmp_path / name)
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
    describe(tmp_path / "one", architecture="bert", modality="text", **task.about)
    assert load_backbone(tmp_path / "one").model(["a", "b"]).pooling == "mean"  # type: ignore[union-attr]
    inputs = AutoTokenizer.from_pretrained(tmp_path / "one")(["oil prices"], return_tensors="pt")
    encoder = AutoModel.from_pretrained(tmp_path / "one")
    task.model.eval()
    with torch.no_grad():
        states = task.model["backbone"](**inputs).last_hidden_state
        assert encoder(**inputs).last_hidden_state.allclose(states, atol=1e-5)
    assert inputs["input_ids"][0, 1] >= len(SPECIAL_TOKENS)


def test_what_it_cannot_learn_from_is_refused(
    texts: tuple[Path, Path], images: tuple[Path, Path]
) -> None:
    with pytest.raises(BadInput, match=r"replaced\.tokens is 100, but the model has 64 positions"):
        prepared(texts, tokens=100)
    with pytest.raises(BadInput, match="holds images; the objective 'replaced' needs text"):
        prepared(images)
    with pytest.raises(BadSettings, match=r"needs a bidirectional architecture, which 'gpt2' is"):
        replaced.prepare(gpt2, gpt2.Settings(), replaced.Settings(), *texts)


def test_generator_and_backbone_share_embeddings_that_start_from_vectors(
    texts: tuple[Path, Path],
) -> None:
    model = prepared(texts, embeddings="cooccurrence").model
    embedding = model["backbone"].get_input_embeddings().weight
    assert model["generator"].generator_lm_head.weight is embedding
    sizes = embedding.detach().square().mean(dim=1).sqrt()
    assert ((sizes - 0.1).abs() < 1e-5).sum() > 400
