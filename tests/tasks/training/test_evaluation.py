"""The one evaluation loop."""

import numpy as np
import pytest
import torch
from torch import nn

from tasks.training.evaluation import evaluate, evaluate_sums, slices
from tasks.training.task import Batch


def batches(*sizes: int) -> list[Batch]:
    return [{"values": torch.ones(size, 2)} for size in sizes]


def test_a_model_is_evaluated_without_dropout_and_gradients_and_then_trains_on() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5)).train()

    def measure(batch: Batch) -> tuple[int, bool, bool]:
        output = model(batch["values"])
        return len(output), output.requires_grad, bool((output == model[0](batch["values"])).all())

    assert evaluate(model, batches(2, 1), measure) == [(2, False, True), (1, False, True)]
    assert model.training


def test_a_model_whose_evaluation_fails_is_in_training_mode_again() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(ZeroDivisionError):
        evaluate(model, batches(1), lambda _: 1 / 0)
    assert model.training


def test_sums_are_added_up_by_name_and_are_zero_without_batches() -> None:
    def measure(batch: Batch) -> dict[str, float]:
        return {"total": float(batch["values"].sum()), "count": len(batch["values"])}

    assert evaluate_sums(nn.Linear(2, 2), batches(2, 3), measure) == {"total": 10.0, "count": 5}
    assert evaluate_sums(nn.Linear(2, 2), [], measure)["total"] == 0


def test_slices_keep_the_order_and_the_last_may_be_short() -> None:
    assert [part.tolist() for part in slices(np.array([4, 2, 9]), 2)] == [[4, 2], [9]]
    assert list(slices(np.arange(0), 2)) == []
