"""Contrastive divergence."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.errors import BadInput, BadSettings
from tasks.models.architectures import convnet, rbm
from tasks.objectives import boltzmann
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

SMALL = rbm.Settings(hidden_units=64)
TRAINING = TrainingSettings(epochs=20, learning_rate=2e-2, batch_size=16)


def prepared(images: tuple[Path, Path], steps: int = 1) -> boltzmann.Boltzmann:
    make_deterministic(0)
    return boltzmann.prepare(rbm, SMALL, boltzmann.Settings(steps=steps), *images)


@pytest.mark.parametrize("steps", [1, 3])
def test_it_beats_the_mean_image_and_the_pixels_frequencies(
    images: tuple[Path, Path], steps: int
) -> None:
    task = prepared(images, steps)
    before = task.validate()
    assert before["reconstruction_error"] > 0.95 * before["mean_image_error"]
    train(task, TRAINING, 0, "boltzmann")
    metrics = task.validate()
    assert metrics["reconstruction_error"] < 0.6 * metrics["mean_image_error"]
    assert metrics["pseudo_log_likelihood"] > 0.8 * metrics["frequency_log_likelihood"]


def test_the_gradient_is_the_difference_of_the_statistics(images: tuple[Path, Path]) -> None:
    task = prepared(images)
    batch = task.batch(np.arange(6), ExampleRandom(0, 0, range(6)))
    task.loss(batch).backward()
    weights, bias = task.model["encoder"][1], task.model["visible"]["bias"]
    with torch.no_grad():
        data = batch["images"].flatten(1)
        hidden = torch.sigmoid(weights(data))
        drawn = (batch["uniform"][:, 0] < hidden).float()
        samples = torch.sigmoid(drawn @ weights.weight + bias)
        expected = torch.sigmoid(weights(samples)).T @ samples - hidden.T @ data
    torch.testing.assert_close(weights.weight.grad, expected / 6, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(bias.grad, (samples - data).mean(0), atol=1e-6, rtol=1e-4)


def test_the_free_energy_sums_over_all_hidden_states(images: tuple[Path, Path]) -> None:
    make_deterministic(0)
    settings = rbm.Settings(hidden_units=3)
    task = boltzmann.prepare(rbm, settings, boltzmann.Settings(), *images)
    weights, bias = task.model["encoder"][1], task.model["visible"]["bias"]
    visible = torch.rand(64).round().double()
    with torch.no_grad():
        terms = [
            visible @ bias.double()
            + torch.tensor(hidden, dtype=torch.float64)
            @ (weights.weight.double() @ visible + weights.bias)
            for hidden in itertools.product((0.0, 1.0), repeat=3)
        ]
        found = task.free_energy(visible.float()[None])
    assert float(found) == pytest.approx(-float(torch.logsumexp(torch.stack(terms), 0)), rel=1e-5)


def test_an_example_draws_the_same_whatever_else_is_in_the_batch(
    images: tuple[Path, Path],
) -> None:
    task = prepared(images, steps=2)
    indices = np.arange(8)
    whole = task.batch(indices, ExampleRandom(5, 3, indices))
    part = task.batch(indices[2:5], ExampleRandom(5, 3, indices[2:5]))
    assert whole["uniform"].shape == (8, 2, 64)
    assert part["uniform"].equal(whole["uniform"][2:5])
    assert not task.batch(indices, ExampleRandom(5, 4, indices))["uniform"].equal(whole["uniform"])


def test_it_needs_visible_units(images: tuple[Path, Path]) -> None:
    expected = r"cannot train the architecture 'convnet', which has no visible; .* one of: rbm$"
    with pytest.raises(BadSettings, match=expected):
        boltzmann.prepare(convnet, convnet.Settings(), boltzmann.Settings(), *images)


def test_text_is_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds text; the objective 'boltzmann' needs images"):
        boltzmann.prepare(rbm, SMALL, boltzmann.Settings(), *texts)
