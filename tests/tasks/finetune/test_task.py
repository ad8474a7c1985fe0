"""What the settings make of a training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from tasks.contracts.paths import Part
from tasks.finetune.settings import Settings
from tasks.finetune.task import Finetuning, Recipe, balanced_weights, new_task
from tasks.heads._corpus import Corpus
from tasks.heads.classification import read_corpus
from tasks.models import transformer
from tasks.models.model import load_backbone, load_model
from tasks.training.loop import _Training, train
from tasks.training.task import ExampleRandom
from tests.tasks.training.waits import waits_of_a_step


@pytest.fixture(scope="module")
def corpus(bert: Path, few_texts: dict[Part, Path]) -> Corpus:
    return read_corpus(load_backbone(bert), few_texts)


def recipe(bert: Path, corpus: Corpus, **options: Any) -> Recipe:
    settings = Settings.parse(options, "finetune")
    return Recipe("small", load_backbone(bert), corpus.classes, settings, 0, Path("unused"))


def task(recipe: Recipe, corpus: Corpus) -> Finetuning:
    some, validation = corpus.examples.take(np.arange(30)), corpus.examples.take(corpus.validation)
    return new_task(recipe, some, validation, recipe.row_seed)


def trained(found: Finetuning) -> set[str]:
    return {name for name, value in found.model.named_parameters() if value.requires_grad}


def test_balanced_weights_are_those_of_sklearn() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2, 0, 0])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert balanced_weights(labels, 3).tolist() == expected.tolist()


def test_class_weights_and_smoothing_reach_the_loss(bert: Path, corpus: Corpus) -> None:
    found = task(recipe(bert, corpus, class_weights="balanced"), corpus)
    batch = found.batch(np.arange(6), ExampleRandom(0, 0, range(6)))
    labels = corpus.examples.labels[:30]
    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    present = batch["class_weights"].numpy()[np.unique(labels)]
    # sklearn counts the classes that occur; all that are known count here.
    assert np.allclose(present * len(corpus.classes) / len(expected), expected)
    assert batch["counts"].item() == pytest.approx(batch["class_weights"][batch["labels"]].sum())
    smoothed = task(recipe(bert, corpus, label_smoothing=0.3), corpus)
    batch = smoothed.batch(np.arange(6), ExampleRandom(0, 0, range(6)))
    smoothed.model.eval()
    found.model.eval()
    smooth, plain = (one.loss(batch).detach() for one in (smoothed, found))
    assert not smooth.allclose(plain, atol=1e-4)


def test_layers_learn_at_rates_of_their_own(bert: Path, corpus: Corpus) -> None:
    groups = task(recipe(bert, corpus, layer_decay=0.9), corpus).optimized()["model"]
    assert [group["scale"] for group in groups] == pytest.approx([1, 0.9, 0.81, 0.729])
    plain = task(recipe(bert, corpus), corpus).optimized()["model"]
    assert len(plain) == 1
    assert "scale" not in plain[0]


def test_each_mode_trains_its_part(bert: Path, corpus: Corpus) -> None:
    head = {"head.1.weight", "head.1.bias"}
    assert trained(task(recipe(bert, corpus, mode="frozen"), corpus)) == head
    full = task(recipe(bert, corpus), corpus)
    assert trained(full) == {name for name, _ in full.model.named_parameters()}
    adapted = trained(task(recipe(bert, corpus, mode="lora"), corpus)) - head
    assert len(adapted) == 2 * 2 * 2  # two matrices for queries and values of two layers
    assert all(".lora_" in name for name in adapted)


@pytest.mark.parametrize("mode", ["full", "frozen", "lora"])
def test_the_twin_learns_all_of_its_weights_at_the_full_rate(
    bert: Path, corpus: Corpus, mode: str
) -> None:
    decay = 1.0 if mode == "frozen" else 0.9
    ours = recipe(bert, corpus, mode=mode, layer_decay=decay, label_smoothing=0.1)
    twin = ours.for_twin()
    assert twin.settings == Settings(label_smoothing=0.1)
    assert twin == replace(ours, settings=twin.settings, pretrained=False)
    found = task(twin, corpus)
    assert trained(found) == {name for name, _ in found.model.named_parameters()}
    assert "scale" not in found.optimized()["model"][0]


def test_the_twin_of_a_head_that_is_solved_takes_the_steps_of_sgd(
    bert: Path, corpus: Corpus
) -> None:
    losses = []
    for sgd in (None, {"momentum": 0.0}, {"momentum": 0.9}):
        options = {"sgd": sgd, "batch_size": 10, "epochs": 2}
        twin = recipe(bert, corpus, mode="frozen", solver="lbfgs", **options).for_twin()
        losses.append(train(task(twin, corpus), twin.settings, 0, "twin")[-1])
    assert len(set(losses)) == 3


@pytest.mark.parametrize("mode", ["full", "frozen", "lora"])
def test_a_step_waits_for_nothing(
    bert: Path, corpus: Corpus, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformer, "on_gpu", lambda: True)
    found = recipe(bert, corpus, mode=mode, class_weights="balanced", batch_size=8)
    learning = task(found, corpus)
    training = _Training(learning, found.settings, 0, "waiting", None, None, None)
    waits = waits_of_a_step(training)
    assert waits.found == []
    assert "aten::_fused_adamw_" in waits.seen


@pytest.mark.parametrize("backbone", ["bert", "convnet"])
def test_a_frozen_backbone_drops_nothing_and_is_computed_once(
    backbone: str,
    request: pytest.FixtureRequest,
    few_texts: dict[Part, Path],
    few_images: dict[Part, Path],
) -> None:
    folder = request.getfixturevalue(backbone)
    corpus = read_corpus(load_backbone(folder), few_texts if backbone == "bert" else few_images)
    ours = recipe(folder, corpus, mode="frozen", dropout=0.5, batch_size=16, epochs=3)
    computed = []
    model = ours.backbone.model
    with pytest.MonkeyPatch.context() as patch:

        def watched(*arguments: Any, **options: Any) -> Any:
            made = model(*arguments, **options)
            made.encoder.register_forward_hook(lambda *_: computed.append(made.module.training))
            return made

        patch.setattr(ours.backbone, "model", watched)
        learning = task(ours, corpus)
    num_batches = len(computed)
    assert num_batches
    assert not any(computed)
    train(learning, ours.settings, 0, "frozen")
    learning.validate()
    assert len(computed) == num_batches


def test_a_frozen_models_logits_are_those_of_the_saved_model(
    bert: Path, corpus: Corpus, few_texts: dict[Part, Path], tmp_path: Path
) -> None:
    ours = recipe(bert, corpus, mode="frozen", batch_size=16, epochs=2, learning_rate=0.01)
    learning = task(ours, corpus)
    train(learning, ours.settings, 0, "frozen")
    logits = learning.logits()
    learning.save(tmp_path)
    saved = load_model(tmp_path)
    saved.module.eval()
    batch = corpus.examples.take(corpus.validation).batch(np.arange(len(logits)))
    with torch.inference_mode():
        assert np.allclose(saved.logits(batch).numpy(), logits, atol=1e-4)
