"""The one training loop: every objective, pretraining and finetuning alike.

It knows nothing of tokens or pixels: a task gives it batches and a loss. Nothing in a step waits
for the device: the loss is read back only where a line of progress is due.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from tasks.errors import Diverged
from tasks.progress import progress
from tasks.training.batches import BatchOrder
from tasks.training.determinism import step_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import torch
    from torch import Tensor, nn

    from tasks.training.settings import TrainingSettings

STEPS_PER_READING = 20
# The second is RoBERTa's (Liu et al., 2019): 0.999 remembers longer than a short training lasts.
BETAS = (0.9, 0.98)


class Task(Protocol):
    """What an objective gives the loop."""

    model: nn.Module

    @property
    def lengths(self) -> np.ndarray:
        """The cost of each example, in tokens."""

    def batch(self, indices: np.ndarray, generator: np.random.Generator) -> dict[str, Tensor]:
        """Return the tensors of some examples."""

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return a scalar to minimise."""


def train(
    task: Task,
    settings: TrainingSettings,
    seed: int,
    description: str,
    after_epoch: Callable[[int], bool] | None = None,
) -> list[float]:
    """Train the task's model in place.

    Args:
        task: the objective and its data.
        settings: epochs, batch size, learning rate and so on.
        seed: what the order of the batches and all random numbers follow from.
        description: what the progress is called.
        after_epoch: called with the number of epochs done; True ends the training.

    Returns:
        The mean training loss of each epoch.

    Raises:
        Diverged: a loss was NaN or infinite; the message names the step.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = task.model.to(device).train()
    order = BatchOrder(task.lengths, settings.batch_size, seed)
    num_steps = order.steps_per_epoch * settings.epochs
    optimizer = _optimizer(model, settings)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=uses_bf16(settings.precision))
    losses: list[float] = []
    with progress(description, num_steps) as reporter:
        for epoch in range(settings.epochs):
            meter = _LossMeter(device, description)
            for step in range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch):
                _set_learning_rate(optimizer, settings, step, num_steps)
                batch = task.batch(order.indices(step), step_generator(seed, step))
                batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
                with autocast:
                    loss = task.loss(batch)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), settings.maximum_gradient_norm)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                meter.add(loss.detach(), step)
                reporter.advance(note=meter.note)
            losses.append(meter.read())
            if after_epoch is not None and after_epoch(epoch + 1):
                break
    return losses


def uses_bf16(precision: str) -> bool:
    """Tell whether to compute in bf16: where the processor has instructions for it."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """Return AdamW; biases, norms and other vectors are not decayed."""
    import torch

    trained = [value for value in model.parameters() if value.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [v for v in trained if v.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [v for v in trained if v.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=BETAS, fused=True)


def _set_learning_rate(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, step: int, num_steps: int
) -> None:
    """Rise linearly, then fall to zero along a cosine (Loshchilov and Hutter, 2017)."""
    warmup = max(1, round(settings.warmup * num_steps))
    if step < warmup:
        share = (step + 1) / warmup
    else:
        share = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, num_steps - warmup)))
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * share


class _LossMeter:
    """Sums losses on the device, and remembers the first step at which one was not finite."""

    def __init__(self, device: torch.device, description: str) -> None:
        import torch

        self._sum = torch.zeros((), device=device, dtype=torch.float64)
        self._first_bad = torch.full((), -1, device=device, dtype=torch.int64)
        self._count = 0
        self._description = description
        self.note = ""

    def add(self, loss: Tensor, step: int) -> None:
        """Count one step's loss; read the sums back every few steps."""
        bad = ~loss.isfinite() & (self._first_bad < 0)
        self._first_bad = self._first_bad.masked_fill(bad, step)
        self._sum += loss
        self._count += 1
        if self._count % STEPS_PER_READING == 0:
            self.note = f"loss {self.read():.4f}"

    def read(self) -> float:
        """Return the mean loss so far.

        Raises:
            Diverged: one of them was not finite.
        """
        step = int(self._first_bad)
        if step >= 0:
            raise Diverged(
                f"{self._description}: the loss is NaN or infinite at step {step}: lower "
                "learning_rate or maximum_gradient_norm, or set precision: fp32"
            )
        return float(self._sum) / self._count
