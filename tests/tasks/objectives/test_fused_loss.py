"""The loss in pieces is the loss, and so are its gradients."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.models.architectures import gpt2, lstm
from tasks.objectives import _fused_loss, causal
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import Batch, ExampleRandom

SIZES: dict[Any, dict[str, Any]] = {
    gpt2: {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 32, "dropout": 0.0},
    lstm: {"hidden_size": 32, "dropout": 0.0},
}


def prepared(architecture: Any, texts: tuple[Path, Path], **more: Any) -> causal.Causal:
    make_deterministic(0)
    settings = causal.Settings(tokens=32, vocabulary_size=400, **more)
    sizes = architecture.Settings(**SIZES[architecture])
    return causal.prepare(architecture, sizes, settings, *texts)


def loss_and_gradients(task: causal.Causal, batch: Batch) -> list[torch.Tensor]:
    loss = task.loss(batch)
    loss.backward()
    return [loss.detach(), *(value.grad for value in task.model.parameters())]  # type: ignore[list-item]


@pytest.mark.parametrize("architecture", [gpt2, lstm], ids=["gpt2", "lstm"])
def test_loss_and_gradients_are_those_of_all_logits(
    architecture: Any, texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fused_loss, "LOGITS_AT_ONCE", 400 * 7)  # of 7 states: pieces, one short
    plain, fused = prepared(architecture, texts), prepared(architecture, texts, fused_loss=True)
    last = np.arange(len(plain.lengths) - 3, len(plain.lengths))  # the last has ignored targets
    batch = plain.batch(last, ExampleRandom(0, 0, last))
    assert bool((batch["targets"] == causal.NO_TARGET).any())
    both = zip(loss_and_gradients(plain, batch), loss_and_gradients(fused, batch), strict=True)
    for expected, found in both:
        assert float((expected - found).abs().max()) < 1e-5 * max(1.0, float(expected.abs().max()))


def test_a_training_in_bf16_learns_as_with_all_logits(texts: tuple[Path, Path]) -> None:
    settings = TrainingSettings(epochs=1, batch_size=16, precision="bf16")
    losses = [
        train(task, settings, 0, "x")
        for task in (prepared(gpt2, texts), prepared(gpt2, texts, fused_loss=True))
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[0] != losses[1]  # it has been another way
