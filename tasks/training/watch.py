"""A long training, looked at on its way: validated every so many steps, the best weights kept.

Every rank validates its part of the batches, and all come to the same figures. Beside the
throughput stands which share that is of what the device can do: model FLOPs utilisation
(Chowdhery et al., 2022), the operations of the model's own forward and backward pass.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.errors import Diverged
from tasks.progress import say
from tasks.training.evaluation import shared_by_ranks
from tasks.training.loop import weights_of
from tasks.training.ranks import num_ranks, rank
from tasks.training.task import ExampleRandom, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from tasks.training.loop import Training

SCORES = ("loss", "energy_distance", "reconstruction_error")
"""What weights are compared by: the first of these that a task's ``validate`` gives; the lower the
better."""
BACKWARD = 2
"""A backward pass computes the products of the forward pass twice: for weights, and for inputs."""
EXAMPLES_COUNTED = 4
# Dense products a second, as NVIDIA's data sheets give them without sparsity: bf16, TF32.
PEAKS = {
    "B200": (2250e12, 1100e12),
    "H200": (989e12, 494e12),
    "H100 PCIe": (756e12, 378e12),
    "H100 NVL": (835e12, 417e12),
    "H100": (989e12, 494e12),
    "A100": (312e12, 156e12),
    "L40S": (362e12, 183e12),
    "L40": (181e12, 90e12),
    "A10G": (70e12, 35e12),
    "A10": (125e12, 62e12),
    "L4": (121e12, 60e12),
}


class BestWeights:
    """Validates, keeps the weights that did best, and gives them back in the end.

    Attributes:
        best_step: the steps after which the model was best; 0: it has not been looked at.
    """

    def __init__(self, every: int, keep: str | None = None) -> None:
        """Look after every so many steps.

        Args:
            every: steps between two looks.
            keep: ``last``, or ``None`` for the best.
        """
        self.best_step = 0
        self._every = every
        self._keeps_best = keep is None
        self._looked = 0
        self._best = float("inf")
        self._best_weights: dict[str, Any] = {}
        self._flops = 0.0
        self._peak: float | None = None

    def begin(self, training: Training) -> None:
        """Count the operations of a token."""
        self._training = training
        self._flops = flops_of_length(training.task, training.seed, training.device)
        self._peak = peak_flops(training.device, bf16=training.uses_bf16)

    def is_due(self, step: int) -> bool:
        """Tell whether to look after so many steps."""
        is_time = step % self._every == 0 or step == self._training.num_steps
        return is_time and step > self._looked

    def look(self, step: int) -> dict[str, float]:
        """Validate on all ranks; keep the weights where they are better than all before."""
        started = time.monotonic()
        with shared_by_ranks():
            metrics = self._training.task.validate()
        name, score = score_of(metrics)
        self._looked = step
        is_better = score < self._best
        if is_better or not self._keeps_best:
            self._best, self.best_step = score, step
            keeps = rank() == 0 or self._training.task.shards is not None
            if keeps and self._keeps_best:
                weights = weights_of(self._training.task.model)
                self._best_weights = {
                    name: value.detach().cpu().clone() for name, value in weights.items()
                }
        if rank() == 0:
            better = ", the best so far" if is_better and self._keeps_best else ""
            told = f"step {step:,}: validation {name} {score:.4f}{better}"
            say(f"{self._training.description}: {told}")
        measured = {f"validation.{name}": value for name, value in metrics.items()}
        return {**measured, "validation_seconds": time.monotonic() - started}

    def figures(self, throughput: Mapping[str, float]) -> dict[str, float]:
        """Return the operations a second, and the share of the devices' peak where it is known."""
        rate = next(value for name, value in throughput.items() if name.endswith("_per_second"))
        if not self._flops:
            return {}
        achieved = {"model_flops_per_second": rate * self._flops}
        if self._peak is not None:
            achieved["model_flops_utilisation"] = rate * self._flops / self._peak / num_ranks()
        return achieved

    def end(self) -> None:
        """Put the best weights back, on the rank that saves, and note which they are.

        Raises:
            Diverged: no validation gave a number to compare weights by.
        """
        import torch

        task = self._training.task
        if self._keeps_best and not self.best_step:
            raise Diverged(
                f"{self._training.description}: every validation gave NaN or infinity, so none of "
                "the weights are the best: lower learning_rate, set precision: fp32, or look at "
                "the validation split; keep: last compares none"
            )
        if self._best_weights:
            weights = weights_of(task.model)
            with torch.no_grad():
                for name, value in self._best_weights.items():
                    weights[name].copy_(value)
        task.about = {**task.about, "steps": self.best_step}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep: the best weights among it."""
        best = {"best": self._best} if self.best_step else {}
        about = {"looked": self._looked, "best_step": self.best_step, **best}
        return {**about, "best_weights": self._best_weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._looked, self.best_step = state["looked"], state["best_step"]
        self._best = state.get("best", float("inf"))
        self._best_weights = state.get("best_weights", {})


def score_of(metrics: Mapping[str, float]) -> tuple[str, float]:
    """Return the name and value of the metric that weights are compared by."""
    name = next(name for name in SCORES if name in metrics)
    return name, metrics[name]


def flops_of_length(task: Task, seed: int, device: torch.device) -> float:
    """Return the operations of a training step for each token (or image); 0: not to be counted.

    They are counted in the forward pass of a few examples, which changes nothing. What torch has no
    formula for is not counted: an objective that takes its own steps, or a recurrent network.

    Args:
        task: the objective and its data.
        seed: of what is random in its examples.
        device: that the model lies on.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    recurrent = any(isinstance(module, torch.nn.RNNBase) for module in task.model.modules())
    if recurrent or type(task).step is not Task.step:
        return 0.0
    chosen = np.arange(min(EXAMPLES_COUNTED, len(task.lengths)))
    batch = task.batch(chosen, ExampleRandom(seed, 0, chosen))
    task.model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            task.loss({name: value.to(device) for name, value in batch.items()})
    finally:
        task.model.train()
    return (1 + BACKWARD) * counter.get_total_flops() / float(task.lengths[chosen].sum())


def peak_flops(device: torch.device, *, bf16: bool) -> float | None:
    """Return the products a second of a GPU's data sheet; ``None`` where it is not known."""
    import torch

    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    known = next((peaks for part, peaks in PEAKS.items() if part in name), None)
    return known[0 if bf16 else 1] if known else None
