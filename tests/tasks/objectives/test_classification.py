"""Classification: its loss is torch's, weighted and smoothed as asked; image classes are learnt."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from tasks.errors import BadInput
from tasks.inputs.pixels import PixelInputs
from tasks.models.architectures import convnet, resnet
from tasks.models.image import ImageModel
from tasks.models.image_layers import ImageParts
from tasks.objectives.classification import (
    Classification,
    Examples,
    Settings,
    known_labels,
    label_indices,
    prepare,
)
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

TRAINING = TrainingSettings(epochs=12, learning_rate=5e-3, batch_size=16)
NUM_CLASSES = 3
WEIGHTS = np.array([0.5, 2.0, 3.5])


def examples(count: int = 10) -> Examples:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (count, 1, 4, 4), dtype=np.uint8)
    return Examples.of(PixelInputs(pixels), np.arange(count) % NUM_CLASSES)


def classifier() -> ImageModel:
    torch.manual_seed(0)
    traits = {"channels": 1, "height": 4, "width": 4}
    parts = ImageParts({"encoder": nn.Flatten()}, {"traits": traits})
    return ImageModel(parts, [str(number) for number in range(NUM_CLASSES)])


def task(**options: Any) -> Classification:
    return Classification(classifier(), examples(), examples(), **options)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_mean_that_torch_takes(
    weights: np.ndarray | None, smoothing: float
) -> None:
    found = task(class_weights=weights, label_smoothing=smoothing)
    indices = np.array([0, 3, 4, 8, 9])
    batch = found.batch(indices, ExampleRandom(0, 0, range(len(indices))))
    expected = cross_entropy(
        classifier().logits(batch),
        torch.from_numpy(indices % NUM_CLASSES),
        weight=None if weights is None else torch.from_numpy(weights).float(),
        label_smoothing=smoothing,
    )
    assert torch.allclose(found.loss(batch), expected, atol=1e-6)


def test_a_batch_in_parts_has_the_loss_of_the_whole() -> None:
    found = task(class_weights=WEIGHTS, label_smoothing=0.1)

    def batch(indices: list[int]) -> dict[str, torch.Tensor]:
        return found.batch(np.array(indices), ExampleRandom(0, 0, range(len(indices))))

    whole, parts = batch([0, 1, 2, 5, 7]), [batch([0, 1]), batch([2, 5, 7])]
    counts = torch.stack([part["counts"] for part in parts]).sum(0)
    assert torch.allclose(counts, whole["counts"])
    summed = torch.stack([found.loss({**part, "counts": counts}) for part in parts]).sum()
    assert torch.allclose(summed, found.loss(whole), atol=1e-6)


def test_validation_is_plain_whatever_the_loss_is() -> None:
    plain, weighted = task(), task(class_weights=WEIGHTS, label_smoothing=0.2)
    assert plain.validate() == weighted.validate()
    labels = torch.from_numpy(examples().labels)
    logits = torch.from_numpy(plain.logits())
    assert plain.validate() == {
        "loss": pytest.approx(float(cross_entropy(logits, labels))),
        "accuracy": pytest.approx(float((logits.argmax(-1) == labels).float().mean())),
        "majority_accuracy": 0.4,
    }


def test_logits_stand_in_the_order_of_the_examples() -> None:
    found = task()
    everything = examples().batch(np.arange(10))
    expected = classifier().logits(everything)
    assert np.allclose(found.logits(), expected.detach().numpy(), atol=1e-6)


def test_some_examples_of_some_examples_are_the_right_ones() -> None:
    everything = examples()
    some = everything.take(np.array([7, 2, 9])).take(np.array([2, 0]))
    assert len(some) == 2
    assert some.lengths.tolist() == [1, 1]
    batch, expected = some.batch(np.arange(2)), everything.batch(np.array([9, 7]))
    assert batch["images"].equal(expected["images"])
    assert batch["labels"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [(convnet, convnet.Settings()), (resnet, resnet.Settings(channels=8, stages=2, blocks=1))],
    ids=["convnet", "resnet"],
)
def test_an_architecture_learns_its_classes(
    architecture: ModuleType, settings: Any, images: tuple[Path, Path]
) -> None:
    make_deterministic(0)
    task = prepare(architecture, settings, Settings(), *images)
    train(task, TRAINING, 0, "classification")
    assert task.validate()["accuracy"] > 0.8


def test_text_is_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds text; the objective 'classification' needs images"):
        prepare(convnet, convnet.Settings(), Settings(), *texts)


def test_a_label_that_train_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the label 'c' does not stand in the training split"):
        label_indices(["a", "c"], ["a", "b"], tmp_path)


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"has 1 classes \(a\)"):
        known_labels(["a", "a", None], tmp_path)
