"""Early stopping: the best epoch's weights are kept, and come back."""

import numpy as np
import pytest
import torch
from torch import nn

from tasks.finetune.early_stopping import EarlyStopping
from tasks.models import image
from tasks.objectives.classification import Classification, Examples

# Two images, one black and one white; the head's weight decides which is told right.
PIXELS = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
WEIGHTS_OF_EPOCHS = [0.0, 2.0, 1.0, 0.0]


@pytest.fixture
def task() -> Classification:
    examples = Examples.of(image.PixelInputs(PIXELS), np.array([0, 1]))
    head = nn.Linear(1, 2)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([0.5, 0.0]))
    model = nn.ModuleDict({"encoder": nn.Sequential(nn.Flatten(), nn.Linear(1, 1)), "head": head})
    nn.init.ones_(model["encoder"][1].weight)
    nn.init.zeros_(model["encoder"][1].bias)
    model["encoder"].requires_grad_(False)
    return Classification(image, model, examples, examples)


def after(task: Classification, stopping: EarlyStopping, epoch: int) -> bool:
    with torch.no_grad():
        task.model["head"].weight[1] = WEIGHTS_OF_EPOCHS[epoch - 1]
    return stopping.after_epoch(epoch)


def test_the_best_epoch_is_that_of_the_highest_accuracy_and_then_the_lowest_loss(
    task: Classification,
) -> None:
    stopping = EarlyStopping(task, patience=2)
    assert [after(task, stopping, epoch) for epoch in (1, 2, 3, 4)] == [False, False, False, True]
    assert [figures["accuracy"] for figures in stopping.epochs] == [0.5, 1.0, 1.0, 0.5]
    assert stopping.epochs[1]["loss"] < stopping.epochs[2]["loss"]
    assert stopping.best_epoch == stopping.agreed_best_epoch() == 2
    stopping.restore_best()
    assert task.model["head"].weight[1].item() == 2.0


def test_only_what_is_trained_is_kept_and_a_checkpoint_brings_it_back(
    task: Classification,
) -> None:
    stopping = EarlyStopping(task, patience=2)
    after(task, stopping, 1)
    state = stopping.state_dict()
    assert set(state["best_weights"]) == {"head.weight", "head.bias"}
    other = EarlyStopping(task, patience=2)
    other.load_state_dict(state)
    assert (other.best_epoch, other.epochs) == (1, stopping.epochs)
