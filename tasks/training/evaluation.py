"""The one evaluation loop: what a task's ``validate`` measures, batch by batch.

The model is in evaluation mode meanwhile (no dropout), and no gradients are kept.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np
    from torch import nn

    from tasks.training.task import Batch

T = TypeVar("T")


def evaluate(model: nn.Module, batches: Iterable[Batch], measure: Callable[[Batch], T]) -> list[T]:
    """Return what is measured of each batch.

    Args:
        model: what is evaluated; afterwards it is in training mode.
        batches: on the host, made one by one as they are measured.
        measure: is given a batch on the model's device.
    """
    import torch

    device = next(model.parameters()).device
    model.eval()
    try:
        with torch.inference_mode():
            return [
                measure({name: value.to(device) for name, value in batch.items()})
                for batch in batches
            ]
    finally:
        model.train()


def evaluate_sums(
    model: nn.Module, batches: Iterable[Batch], measure: Callable[[Batch], Mapping[str, float]]
) -> defaultdict[str, float]:
    """Return the sums over all batches of what is measured of each, by name; without any, 0.

    Args:
        model: what is evaluated; afterwards it is in training mode.
        batches: on the host, made one by one as they are measured.
        measure: gives the sums over a batch, which it gets on the model's device.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    for sums in evaluate(model, batches, measure):
        for name, value in sums.items():
            totals[name] += value
    return totals


def slices(indices: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield indices in their order, ``batch_size`` at a time."""
    for start in range(0, len(indices), batch_size):
        yield indices[start : start + batch_size]
