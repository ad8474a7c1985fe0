"""Logistic regression on a frozen backbone: the head's loss at its minimum, by L-BFGS.

AdamW takes steps of like size in every direction, also in those that a few records say nothing
about; on 49 records of R8 that cost 2 points. The minimum with an L2 penalty has one answer, which
depends neither on a rate nor on random weights. How strong the penalty has to be, the validation
split tells: the strengths are tried one after the other, from the strongest on, each starting from
the head of the one before. They stand where a training has its epochs: patience, the choice of the
best one and cross-validation work on them as they are.

Imported where ``solver: lbfgs`` alone, so that a change here makes no other row stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.progress import progress
from tasks.training.evaluation import slices
from tasks.training.preemption import preemption
from tasks.training.task import ExampleRandom

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from tasks.finetune.task import Finetuning
    from tasks.tracking.runs.metric_log import MetricLog
    from tasks.training.loop import Callback

STRENGTHS = tuple(10.0 ** (-power / 2) for power in range(-4, 7))
"""Of the penalty on half of the squared weights, beside the summed loss: scikit-learn's 1/C."""
MOST_ITERATIONS = 200
EXAMPLES_AT_ONCE = 4096
NOTHING = ExampleRandom(0, 0, range(0))


def fit(
    task: Finetuning,
    label_smoothing: float,
    what: str,
    callback: Callback,
    metric_log: MetricLog,
) -> list[float]:
    """Fit the head in place; return the loss of each strength, without the penalty.

    Args:
        task: a training on features.
        label_smoothing: share of the target that is spread over all classes.
        what: what the progress is called.
        callback: is called after every strength.
        metric_log: keeps metrics, strength by strength.
    """
    import torch

    # Without dropout: the expectation of what it does to a linear layer is another L2 penalty.
    task.model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    head = task.model.head[1]
    weights = [torch.zeros_like(head.weight), torch.zeros_like(head.bias)]
    weights = [value.double().requires_grad_() for value in weights]
    mean_loss = _mean_loss(task, label_smoothing, weights)
    losses: list[float] = []
    with preemption() as stop, progress(what, len(STRENGTHS)) as reporter:
        for number, strength in enumerate(STRENGTHS, start=1):
            with stop.at_once():
                losses.append(_minimise(mean_loss, weights, strength / len(task.lengths)))
                with torch.no_grad():
                    head.weight.copy_(weights[0])
                    head.bias.copy_(weights[1])
                is_over = callback.after_epoch(number)
            metric_log.log(number, {"loss": losses[-1], "penalty": strength, **callback.metrics})
            reporter.advance()
            if is_over:
                break
    return losses


def _mean_loss(
    task: Finetuning, label_smoothing: float, weights: list[Tensor]
) -> Callable[[], float]:
    """Return what adds the gradients of the task's loss, in float64, and returns the loss."""
    import torch
    from torch.nn.functional import cross_entropy, linear

    batches = [
        {name: value.to(weights[0].device) for name, value in task.batch(some, NOTHING).items()}
        for some in slices(np.arange(len(task.lengths)), EXAMPLES_AT_ONCE)
    ]
    count = torch.stack([batch["counts"] for batch in batches]).double().sum()

    def mean_loss() -> float:
        total = 0.0
        for batch in batches:
            class_weights = batch.get("class_weights")
            loss = cross_entropy(
                # Beside the scores of a wide part, where there is one.
                linear(batch["features"].double(), *weights) + batch.get("wide_scores", 0.0),
                batch["labels"],
                weight=None if class_weights is None else class_weights.double(),
                label_smoothing=label_smoothing,
                reduction="sum",
            )
            (loss / count).backward()
            total += float(loss.detach() / count)
        return total

    return mean_loss


def _minimise(mean_loss: Callable[[], float], weights: list[Tensor], penalty: float) -> float:
    """Minimise the mean loss and the penalty from where the weights are; return the mean loss."""
    import torch

    optimizer = torch.optim.LBFGS(
        weights,
        max_iter=MOST_ITERATIONS,
        tolerance_grad=1e-5,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def objective() -> float:
        optimizer.zero_grad()
        penalised = penalty / 2 * weights[0].square().sum()
        penalised.backward()
        return mean_loss() + float(penalised.detach())

    optimizer.step(objective)
    optimizer.zero_grad()
    return mean_loss()
