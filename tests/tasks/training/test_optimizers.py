"""How a loss becomes a step."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.errors import BadSettings
from tasks.training.optimizers import Optimizers, uses_bf16
from tasks.training.settings import TrainingSettings
from tasks.training.task import Batch, Task

SETTINGS = TrainingSettings(learning_rate=0.1, weight_decay=0.5, precision="fp32", warmup=0)


class Layer(Task):
    """A matrix and a bias, in groups of different rates."""

    def __init__(self, slope: float = 0.0) -> None:
        self.model = nn.Linear(2, 1)
        nn.init.ones_(self.model.weight)
        nn.init.ones_(self.model.bias)
        self.lengths = np.ones(4, dtype=int)
        self._slope = slope

    def optimized(self) -> dict[str, list[dict[str, Any]]]:
        matrix, bias = self.model.weight, self.model.bias
        return {"model": [{"params": [matrix], "scale": 0.5}, {"params": [bias]}]}

    def loss(self, batch: Batch) -> Tensor:
        """Return a loss whose gradient is the same for all weights."""
        weights = self.model.weight.sum() + self.model.bias.sum()
        return self._slope * weights * batch["x"].sum() / batch["counts"][0]


def part(*values: float, weight: float = 1.0) -> Batch:
    return {
        "x": torch.tensor(values),
        "counts": torch.tensor([float(len(values))]),
        "weight": torch.tensor(weight),
    }


def optimizers_of(task: Task, settings: TrainingSettings = SETTINGS) -> Optimizers:
    optimizers = Optimizers(task, settings, torch.device("cpu"), 10)
    optimizers.set_learning_rate(0)
    return optimizers


def test_matrices_decay_at_their_groups_rate_and_biases_do_not() -> None:
    task = Layer()
    optimizers_of(task).minimise(task.loss, [part(1.0)])
    assert task.model.weight.flatten().tolist() == pytest.approx([1 - 0.5 * 0.1 * 0.5] * 2)
    assert task.model.bias.tolist() == [1.0]


def test_the_loss_is_the_mean_over_all_parts_and_a_part_without_weight_does_not_count() -> None:
    task = Layer(slope=1.0)
    parts = [part(1.0, 2.0), part(6.0), part(100.0, weight=0.0)]
    loss = optimizers_of(task).minimise(task.loss, parts)
    assert float(loss) == pytest.approx(3 * (1 + 2 + 6) / 3)


def test_the_norm_is_that_before_clipping() -> None:
    task = Layer(slope=30.0)
    optimizers = optimizers_of(task)
    optimizers.minimise(task.loss, [part(1.0)])
    metrics = optimizers.metrics()
    assert metrics["learning_rate"] == pytest.approx(0.1)
    assert metrics["gradient_norm"] == pytest.approx(30 * 3**0.5)
    first = optimizers.by_name["model"].state[task.model.bias]["exp_avg"]
    assert first.tolist() == pytest.approx([0.1 / 3**0.5])  # clipped to a norm of 1


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_steps_along_its_momentum_and_an_l2_penalty_of_matrices(nesterov: bool) -> None:
    """With v = 0.9 v + g, a step of v, or, looking ahead, of g + 0.9 v (Sutskever et al., 2013)."""
    momentum = {"momentum": 0.9, "nesterov": nesterov}
    settings = TrainingSettings.parse({**SETTINGS.model_dump(), "sgd": momentum}, "training")
    task = Layer(slope=0.1)
    optimizers = optimizers_of(task, settings)
    weight = bias = 1.0
    velocities = [0.0, 0.0]
    for _ in range(3):
        optimizers.minimise(task.loss, [part(1.0)])
        gradients = [0.1 + 0.5 * weight, 0.1]
        velocities = [0.9 * v + g for v, g in zip(velocities, gradients, strict=True)]
        steps = [g + 0.9 * v if nesterov else v for v, g in zip(velocities, gradients, strict=True)]
        weight, bias = weight - 0.05 * steps[0], bias - 0.1 * steps[1]
        assert task.model.weight.flatten().tolist() == pytest.approx([weight] * 2)
        assert task.model.bias.tolist() == pytest.approx([bias])


def test_the_momentum_of_sgd_comes_back_from_a_checkpoint() -> None:
    settings = TrainingSettings.parse({**SETTINGS.model_dump(), "sgd": {}}, "training")
    task, other = Layer(slope=1.0), Layer(slope=1.0)
    first, second = (optimizers_of(each, settings) for each in (task, other))
    first.minimise(task.loss, [part(1.0)])
    other.model.load_state_dict(task.model.state_dict())
    second.load_state_dict(deepcopy(first.state_dict()))
    for optimizers, each in ((first, task), (second, other)):
        optimizers.minimise(each.loss, [part(1.0)])
    assert task.model.weight.equal(other.model.weight)
    assert first.state_dict()["model"][0].keys() == {"momentum_buffer"}


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(BadSettings, match="nesterov looks ahead along the momentum, which is 0"):
        TrainingSettings.parse({"sgd": {"momentum": 0.0, "nesterov": True}}, "training")


@pytest.mark.parametrize(("precision", "expected"), [("bf16", True), ("fp32", False)])
def test_a_precision_that_is_asked_for_is_used(precision: str, expected: bool) -> None:
    assert uses_bf16(precision) == expected
