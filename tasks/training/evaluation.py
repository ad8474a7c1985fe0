"""The one evaluation loop: what a task's ``validate`` measures, batch by batch.

The model is in evaluation mode meanwhile (no dropout), and no gradients are kept.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, TypeVar

from tasks.training.ranks import gathered, num_ranks, rank

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import numpy as np
    from torch import nn

    from tasks.training.task import Batch

T = TypeVar("T")
_is_shared = ContextVar("batches are shared by ranks", default=False)


@contextmanager
def shared_by_ranks() -> Iterator[None]:
    """In the body, which every rank enters, have each rank measure a part of the batches of sums.

    The sums are then those over all ranks, the same on each, and those of one rank that measures
    all batches: they are added up in the order of the batches. What else is evaluated in the body,
    each rank evaluates as a whole.
    """
    before = _is_shared.set(True)
    try:
        yield
    finally:
        _is_shared.reset(before)


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
    if not _is_shared.get():
        return _added_up(evaluate(model, batches, measure))
    own = evaluate(model, islice(batches, rank(), None, num_ranks()), measure)
    in_turn = zip_longest(*gathered([dict(sums) for sums in own]))
    return _added_up(sums for turn in in_turn for sums in turn if sums is not None)


def _added_up(parts: Iterable[Mapping[str, float]]) -> defaultdict[str, float]:
    totals: defaultdict[str, float] = defaultdict(float)
    for sums in parts:
        for name, value in sums.items():
            totals[name] += value
    return totals


def slices(indices: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield indices in their order, ``batch_size`` at a time."""
    for start in range(0, len(indices), batch_size):
        yield indices[start : start + batch_size]
