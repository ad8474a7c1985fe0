"""Contrastive divergence."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.contracts import files
from tasks.errors import BadInput, BadSettings
from tasks.models.architectures import convnet, rbm
from tasks.models.initial.own import OwnImages
from tasks.models.model import describe, load_backbone
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


def stacked(
    images: tuple[Path, Path], below: Path, hidden_units: int | None
) -> boltzmann.Boltzmann:
    make_deterministic(1)
    settings = boltzmann.Settings(hidden_units=hidden_units)
    return boltzmann.prepare(rbm, None, settings, *images, initial=OwnImages(below))


def saved(task: boltzmann.Boltzmann, folder: Path) -> Path:
    task.save(folder)
    describe(folder, architecture="rbm", modality="image")
    return folder


def test_a_machine_on_another_learns_from_its_features_and_leaves_it_as_it_is(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    first = prepared(images)
    train(first, TRAINING, 0, "boltzmann")
    below = saved(first, tmp_path / "first")
    second = stacked(images, below, 32)
    train(second, TRAINING, 0, "boltzmann")
    metrics = second.validate()
    assert metrics["reconstruction_error"] < 0.7 * metrics["mean_image_error"]
    assert metrics["pseudo_log_likelihood"] > metrics["frequency_log_likelihood"]
    deep = saved(second, tmp_path / "second")
    assert files.read_json(deep / "config.json")["settings"] == {"hidden_units": 32, "below": [64]}
    encoder = load_backbone(deep).model(["a", "b"]).encoder
    assert encoder[1].weight.equal(first.model["encoder"][1].weight)  # type: ignore[index]
    assert encoder[3].weight.equal(second.model["encoder"][1].weight)  # type: ignore[index]
    pictures = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        expected = second.model["encoder"](first.model["encoder"](pictures))
        assert encoder(pictures).equal(expected)
    third = saved(stacked(images, deep, 8), tmp_path / "third")
    assert files.read_json(third / "config.json")["settings"]["below"] == [64, 32]


def test_a_machine_that_goes_on_begins_where_it_was(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    first = prepared(images)
    train(first, TRAINING.model_copy(update={"epochs": 2}), 0, "boltzmann")
    below = saved(first, tmp_path / "first")
    assert stacked(images, below, None).validate() == first.validate()
    second = saved(stacked(images, below, 16), tmp_path / "second")
    again = stacked(images, second, None)
    assert again.validate() == stacked(images, below, 16).validate()
    assert set(files.read_json(below / "config.json")["settings"]) == {"hidden_units"}


def test_machines_are_not_stacked_on_one_that_nothing_has_trained(
    images: tuple[Path, Path],
) -> None:
    for sizes, settings in (
        (SMALL, boltzmann.Settings(hidden_units=8)),
        (rbm.Settings(below=[16]), boltzmann.Settings()),
    ):
        with pytest.raises(BadSettings, match="stack in a row of adapted"):
            boltzmann.prepare(rbm, sizes, settings, *images)
