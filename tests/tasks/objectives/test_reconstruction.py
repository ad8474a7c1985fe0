"""Reconstruction, plain and denoising."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tasks.errors import BadInput, BadSettings
from tasks.models.architectures import autoencoder, convnet, dense_autoencoder
from tasks.objectives import reconstruction
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

DENSE = (dense_autoencoder, dense_autoencoder.Settings())
CONVOLUTIONAL = (autoencoder, autoencoder.Settings(channels=8))


def prepared(images: tuple[Path, Path], **settings: Any) -> reconstruction.Reconstruction:
    make_deterministic(0)
    return reconstruction.prepare(*DENSE, reconstruction.Settings(**settings), *images)


@pytest.mark.parametrize(
    ("parts", "settings"),
    [(DENSE, {}), (DENSE, {"noise": 0.2}), (CONVOLUTIONAL, {"hidden": 0.3})],
    ids=["dense", "noise", "convolutional, pixels hidden"],
)
def test_an_autoencoder_beats_the_mean_image(
    parts: tuple[ModuleType, Any], settings: dict[str, float], images: tuple[Path, Path]
) -> None:
    architecture, sizes = parts
    make_deterministic(0)
    objective = reconstruction.Settings(**settings)
    task = reconstruction.prepare(architecture, sizes, objective, *images)
    train(task, TrainingSettings(epochs=15, learning_rate=5e-3, batch_size=32), 0, "x")
    metrics = task.validate()
    assert metrics["loss"] < 0.5 * metrics["mean_image_error"]


def test_the_mean_image_is_that_of_the_training_split(images: tuple[Path, Path]) -> None:
    task = prepared(images)
    train_pixels, pixels = (
        inputs.batch(np.arange(len(inputs.pixels)))["images"].double()
        for inputs in (task._train, task._validation)
    )
    expected = ((pixels - train_pixels.mean(0)) ** 2).mean()
    assert task.validate()["mean_image_error"] == pytest.approx(float(expected), rel=1e-5)


def test_noise_is_added_to_the_input_alone(images: tuple[Path, Path]) -> None:
    batch = prepared(images, noise=0.1).batch(np.arange(50), ExampleRandom(0, 0, range(50)))
    assert 0.09 < float((batch["spoilt"] - batch["images"]).std()) < 0.11
    assert float(batch["images"].max()) == 1.0


def test_pixels_are_hidden_in_the_input_alone(images: tuple[Path, Path]) -> None:
    batch = prepared(images, hidden=0.4).batch(np.arange(50), ExampleRandom(0, 0, range(50)))
    there = batch["images"] > 0
    kept = batch["spoilt"] == batch["images"]
    assert 0.57 < float(kept[there].float().mean()) < 0.63
    assert float(batch["spoilt"][~kept].abs().max()) == 0


def test_an_examples_noise_does_not_depend_on_what_else_is_in_the_batch(
    images: tuple[Path, Path],
) -> None:
    task = prepared(images, noise=0.1, hidden=0.1)
    indices = np.arange(8)
    whole = task.batch(indices, ExampleRandom(5, 3, indices))
    part = task.batch(indices[2:5], ExampleRandom(5, 3, indices[2:5]))
    assert part["spoilt"].equal(whole["spoilt"][2:5])
    other = task.batch(indices, ExampleRandom(5, 4, indices))
    assert not other["spoilt"].equal(whole["spoilt"])
    assert torch.unique(whole["spoilt"][:, :, 0, 0]).numel() > 4


def test_it_needs_a_decoder(images: tuple[Path, Path]) -> None:
    with pytest.raises(BadSettings) as error:
        reconstruction.prepare(convnet, convnet.Settings(), reconstruction.Settings(), *images)
    assert str(error.value) == (
        "the objective 'reconstruction' cannot train the architecture 'convnet', which has no "
        "decoder; set architecture to one of: autoencoder, dense_autoencoder"
    )


def test_text_is_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds text; the objective 'reconstruction' needs images"):
        reconstruction.prepare(*DENSE, reconstruction.Settings(), *texts)
