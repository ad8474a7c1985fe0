"""What is measured while a model trains: its loss, on the device, and how fast it goes."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.errors import Diverged

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import torch
    from torch import Tensor

STEPS_PER_READING = 20
MOST_READINGS = 2000
FEWEST_READINGS = 20


def steps_per_reading(num_steps: int) -> int:
    """Return after how many steps to read metrics back: rarely in long trainings.

    Reading makes the host wait for the device, and every reading is a point of the metric log.
    """
    rarely = max(STEPS_PER_READING, -(-num_steps // MOST_READINGS))
    return min(rarely, max(1, num_steps // FEWEST_READINGS))


class LossMeter:
    """Sums losses on the device, and remembers the first step at which one was not finite.

    Attributes:
        count: the steps of the epoch so far.
        note: the epoch's mean loss so far, in words.
    """

    def __init__(self, device: torch.device, description: str) -> None:
        import torch

        self._epoch = torch.zeros((), device=device, dtype=torch.float64)
        self._unread = torch.zeros_like(self._epoch)
        self._num_unread = 0
        self._first_bad = torch.full((), -1, device=device, dtype=torch.int64)
        self._description = description
        self.count = 0
        self.note = ""

    def add(self, loss: Tensor, step: int) -> None:
        """Count one step's loss."""
        bad = ~loss.isfinite() & (self._first_bad < 0)
        self._first_bad.masked_fill_(bad, step)
        self._epoch += loss
        self._unread += loss
        self.count += 1
        self._num_unread += 1

    def read(self) -> float:
        """Return the mean loss since the last reading.

        Raises:
            Diverged: one of them was not finite.
        """
        self.note = f"loss {self.epoch_mean():.4f}"
        mean = float(self._unread) / self._num_unread
        self._unread.zero_()
        self._num_unread = 0
        return mean

    def epoch_mean(self) -> float:
        """Return the epoch's mean loss so far.

        Raises:
            Diverged: one of them was not finite.
        """
        self.require_finite()
        return float(self._epoch) / self.count

    def begin_epoch(self) -> None:
        """Begin a new mean."""
        self._epoch.zero_()
        self.count = 0

    def require_finite(self) -> None:
        """Raise ``Diverged`` if a loss was not finite."""
        step = int(self._first_bad)
        if step >= 0:
            raise Diverged(
                f"{self._description}: the loss is NaN or infinite at step {step}: lower "
                "learning_rate or maximum_gradient_norm, or set precision: fp32"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what has been added up."""
        counts = {"count": self.count, "num_unread": self._num_unread}
        return {"sum": self._epoch, "unread": self._unread, **counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._epoch.copy_(state["sum"])
        self._unread.copy_(state["unread"])
        self.count, self._num_unread = state["count"], state["num_unread"]


class Throughput:
    """Tokens, or images, a second, and the share of the time in which steps wait for batches."""

    def __init__(self, lengths: np.ndarray) -> None:
        self._name = "tokens_per_second" if lengths.max() > 1 else "examples_per_second"
        self.restart()

    def add(self, amount: int) -> None:
        """Count a step's tokens, or images."""
        self._amount += amount

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the body as a step's wait for its batch."""
        started = time.monotonic()
        yield
        self._waited += time.monotonic() - started

    def read(self) -> dict[str, float]:
        """Return the throughput and the share of time spent waiting, since the last reading."""
        seconds = max(time.monotonic() - self._started, 1e-9)
        metrics = {self._name: self._amount / seconds, "waiting_share": self._waited / seconds}
        self.restart()
        return metrics

    def restart(self) -> None:
        """Start counting again, after something that is no training."""
        self._amount = 0
        self._waited = 0.0
        self._started = time.monotonic()
