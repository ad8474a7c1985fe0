"""Reconstruction and classification of images."""

from pathlib import Path

import pytest

from tasks.errors import BadInput, BadSettings
from tasks.models.architectures import autoencoder, convnet
from tasks.objectives import classification, reconstruction
from tasks.objectives._task import ExampleRandom
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings

TRAINING = TrainingSettings(epochs=25, learning_rate=2e-3, batch_size=16)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_an_autoencoder_beats_the_mean_image(images: tuple[Path, Path], noise: float) -> None:
    make_deterministic(0)
    task = reconstruction.prepare(
        autoencoder, autoencoder.Settings(), reconstruction.Settings(noise=noise), *images
    )
    train(task, TRAINING, 0, "reconstruction")
    figures = task.validate()
    assert figures["loss"] < 0.5 * figures["mean_image_error"]


def test_noise_is_added_to_the_input_alone(images: tuple[Path, Path]) -> None:
    import numpy as np

    task = reconstruction.prepare(
        autoencoder, autoencoder.Settings(), reconstruction.Settings(noise=0.1), *images
    )
    batch = task.batch(np.arange(50), ExampleRandom(0, 0, range(50)))
    assert 0.09 < float((batch["noisy"] - batch["images"]).std()) < 0.11
    assert float(batch["images"].max()) == 1.0


def test_a_convnet_learns_its_classes(images: tuple[Path, Path]) -> None:
    make_deterministic(0)
    task = classification.prepare(convnet, convnet.Settings(), classification.Settings(), *images)
    train(task, TRAINING, 0, "classification")
    assert task.validate()["accuracy"] > 0.85


def test_reconstruction_needs_a_decoder(images: tuple[Path, Path]) -> None:
    with pytest.raises(BadSettings, match="needs an architecture with a decoder"):
        reconstruction.prepare(convnet, convnet.Settings(), reconstruction.Settings(), *images)


def test_text_is_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds text; the objective 'classification' needs images"):
        classification.prepare(convnet, convnet.Settings(), classification.Settings(), *texts)


def test_a_label_that_train_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the label 'c' does not stand in the training split"):
        classification.label_indexes(["a", "c"], ["a", "b"], tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has 1 classes \(a\)"):
        classification.known_labels(["a", "a", None], tmp_path)
