"""When a training ends: when no better epoch comes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tasks.progress import say
from tasks.training.ranks import rank, sum_over_ranks

if TYPE_CHECKING:
    from tasks.training.task import Task


class EarlyStopping:
    """Keeps the weights of the best epoch, and ends a training when no better one comes.

    Attributes:
        epochs: the validation metrics of each epoch.
        best_epoch: the epoch (counted from 1) with the best of the metric that decides; of equals,
            the one with the lower loss.
    """

    def __init__(
        self,
        task: Task,
        patience: int,
        *,
        tells: bool = True,
        decides: tuple[str, bool] = ("accuracy", True),
    ) -> None:
        """Watch a training.

        Args:
            task: what is trained.
            patience: how many epochs may bring nothing better.
            tells: say how each epoch went.
            decides: the metric that the best epoch has most of, or least.
        """
        self._metric, self._more_is_better = decides
        self._tells = tells
        self.epochs: list[dict[str, float]] = []
        self.best_epoch = 0
        self._task = task
        self._patience = patience
        self._best_weights: dict[str, Any] = {}

    def after_epoch(self, epoch: int) -> bool:
        """Validate; return True when ``patience`` epochs have brought nothing better."""
        metrics = self._task.validate()
        self.epochs.append(metrics)
        value, loss = metrics[self._metric], metrics["loss"]
        if self._tells:
            name = self._metric.replace("_", " ")
            say(f"epoch {epoch}: validation {name} {value:.4f}, loss {loss:.4f}")
        if not self.best_epoch or self._rank(metrics) > self._rank(
            self.epochs[self.best_epoch - 1]
        ):
            self.best_epoch = epoch
            self._best_weights = {
                name: value.detach().clone() for name, value in self._trained().items()
            }
        return epoch - self.best_epoch >= self._patience

    def agreed_best_epoch(self) -> int:
        """Return the best epoch on every rank: rank 0 alone has validated."""
        import torch

        device = next(self._task.model.parameters()).device
        known = self.best_epoch if rank() == 0 else 0
        return int(sum_over_ranks(torch.tensor(known, device=device)))

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured after the last epoch, as it is called on MLflow's pages."""
        return {f"validation.{name}": value for name, value in self.epochs[-1].items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep: the best weights among it."""
        return {
            "epochs": list(self.epochs),
            "best_epoch": self.best_epoch,
            "best_weights": self._best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.epochs, self.best_epoch = state["epochs"], state["best_epoch"]
        self._best_weights = state["best_weights"]

    def restore_best(self) -> None:
        """Put the best epoch's weights back."""
        import torch

        with torch.no_grad():
            for name, value in self._trained().items():
                value.copy_(self._best_weights[name])

    def _trained(self) -> dict[str, Any]:
        weights = self._task.model.named_parameters()
        return {name: value for name, value in weights if value.requires_grad}

    def _rank(self, metrics: dict[str, float]) -> tuple[float, float]:
        value, loss = metrics[self._metric], metrics["loss"]
        signed = value if self._more_is_better else -value
        # Nothing is greater than NaN: an epoch that measured none would stay the best for ever.
        return (-math.inf if math.isnan(signed) else signed, -loss)
