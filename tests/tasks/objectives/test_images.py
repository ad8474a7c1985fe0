"""Supervised pretraining on images."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tasks.errors import BadInput
from tasks.models.architectures import convnet, resnet
from tasks.objectives import classification
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings

TRAINING = TrainingSettings(epochs=12, learning_rate=5e-3, batch_size=16)


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [(convnet, convnet.Settings()), (resnet, resnet.Settings(channels=8, stages=2, blocks=1))],
    ids=["convnet", "resnet"],
)
def test_an_architecture_learns_its_classes(
    architecture: ModuleType, settings: Any, images: tuple[Path, Path]
) -> None:
    make_deterministic(0)
    task = classification.prepare(architecture, settings, classification.Settings(), *images)
    train(task, TRAINING, 0, "classification")
    assert task.validate()["accuracy"] > 0.8


def test_text_is_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds text; the objective 'classification' needs images"):
        classification.prepare(convnet, convnet.Settings(), classification.Settings(), *texts)


def test_a_label_that_train_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the label 'c' does not stand in the training split"):
        classification.label_indices(["a", "c"], ["a", "b"], tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has 1 classes \(a\)"):
        classification.known_labels(["a", "a", None], tmp_path)
