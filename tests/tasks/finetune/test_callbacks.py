"""Early stopping keeps the best epoch's weights; fixed epochs end where they are told to."""

import numpy as np
import pytest
import torch
from torch import nn

from tasks.finetune.callbacks import EarlyStopping
from tasks.inputs.pixels import PixelInputs
from tasks.models.image import ImageModel
from tasks.models.image_layers import ImageParts
from tasks.objectives.classification import Classification, Examples

# Two images, one black and one white; the head's weight decides which is told right.
PIXELS = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
WEIGHTS_OF_EPOCHS = [0.0, 2.0, 1.0, 0.0]


@pytest.fixture
def task() -> Classification:
    examples = Examples.of(PixelInputs(PIXELS), np.array([0, 1]))
    linear = nn.Linear(1, 1)
    nn.init.ones_(linear.weight)
    nn.init.zeros_(linear.bias)
    encoder = nn.Sequential(nn.Flatten(), linear).requires_grad_(False)
    traits = {"channels": 1, "height": 1, "width": 1}
    classifier = ImageModel(
        ImageParts({"encoder": encoder}, {"traits": traits}), ["black", "white"]
    )
    found = Classification(classifier, examples, examples)
    with torch.no_grad():
        head_of(found).weight.zero_()
        head_of(found).bias.copy_(torch.tensor([0.5, 0.0]))
    return found


def head_of(task: Classification) -> nn.Linear:
    head: nn.Linear = task.model["head"][1]
    return head


def after(task: Classification, stopping: EarlyStopping, epoch: int) -> bool:
    with torch.no_grad():
        head_of(task).weight[1] = WEIGHTS_OF_EPOCHS[epoch - 1]
    return stopping.after_epoch(epoch)


def test_the_best_epoch_is_that_of_the_highest_accuracy_and_then_the_lowest_loss(
    task: Classification,
) -> None:
    stopping = EarlyStopping(task, patience=2)
    assert [after(task, stopping, epoch) for epoch in (1, 2, 3, 4)] == [False, False, False, True]
    assert [metrics["accuracy"] for metrics in stopping.epochs] == [0.5, 1.0, 1.0, 0.5]
    assert stopping.epochs[1]["loss"] < stopping.epochs[2]["loss"]
    assert stopping.best_epoch == stopping.agreed_best_epoch() == 2
    stopping.restore_best()
    assert head_of(task).weight[1].item() == 2.0


def test_an_epoch_that_measured_nothing_is_better_than_none(
    task: Classification, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = EarlyStopping(task, patience=3)
    nan = float("nan")
    measured = iter([nan, 0.5, nan, 0.4])
    monkeypatch.setattr(task, "validate", lambda: {"accuracy": next(measured), "loss": 1.0})
    assert [stopping.after_epoch(epoch) for epoch in range(1, 5)] == [False] * 4
    assert stopping.best_epoch == 2


def test_only_what_is_trained_is_kept_and_a_checkpoint_brings_it_back(
    task: Classification,
) -> None:
    stopping = EarlyStopping(task, patience=2)
    after(task, stopping, 1)
    state = stopping.state_dict()
    assert set(state["best_weights"]) == {"head.1.weight", "head.1.bias"}
    other = EarlyStopping(task, patience=2)
    other.load_state_dict(state)
    assert (other.best_epoch, other.epochs) == (1, stopping.epochs)
