"""A training that goes on, on another number of ranks than it has begun on.

``devices`` is then the most there may be. A sum over ranks is rounded otherwise on another number
of them, and dropout is drawn anew by each, so the bytes depend on how a row was run: its checkpoint
and its result say from which step on it was trained by how many.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tasks.errors import BadInput
from tasks.progress import say
from tasks.training.ranks import num_ranks, rank

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.training.loop import Training, Watch

RANKS = "DOWNSTREAM_RANKS"
"""Holds how many processes may train on a machine without a GPU; one with GPUs has so many."""
NOTED = "ranks"
"""What the result calls it."""


def num_ranks_here(most: int) -> int:
    """Return how many ranks a training can have here, of so many at most.

    Raises:
        BadInput: what the environment says is no number.
    """
    import torch

    there = torch.cuda.device_count()
    if not there:
        told = os.environ.get(RANKS, str(most))
        if not told.isdecimal() or not int(told):
            raise BadInput(f"{RANKS} is {told!r}: set it to a number of processes, or unset it")
        there = int(told)
    return min(most, there)


class RanksNoted:
    """Notes from which step on there were how many ranks; another watch looks beside it."""

    def __init__(self, inner: Watch | None) -> None:
        """Note, and have ``inner`` look."""
        self._inner = inner
        self._noted: dict[str, int] = {}

    def begin(self, training: Training) -> None:
        """Get to know the training."""
        self._training = training
        if self._inner is not None:
            self._inner.begin(training)

    def is_due(self, step: int) -> bool:
        """Note how many ranks take the next step; tell whether the other is to look."""
        before = next(reversed(self._noted.values()), None)
        if before != num_ranks():
            if before is not None and rank() == 0:
                say(
                    f"{self._training.description}: goes on on {num_ranks()} ranks, after {before} "
                    f"up to step {step:,}: its bytes are those of no other training"
                )
            self._noted[str(step)] = num_ranks()
        return self._inner is not None and self._inner.is_due(step)

    def look(self, step: int) -> dict[str, float]:
        """Have the other look."""
        assert self._inner is not None  # noqa: S101 - it said that it is due
        return self._inner.look(step)

    def figures(self, throughput: Mapping[str, float]) -> dict[str, float]:
        """Return the other's."""
        return self._inner.figures(throughput) if self._inner is not None else {}

    def end(self) -> None:
        """Say it of the result."""
        if self._inner is not None:
            self._inner.end()
        task = self._training.task
        task.about = {**task.about, NOTED: self._noted}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has to keep."""
        inner = self._inner.state_dict() if self._inner is not None else {}
        return {NOTED: self._noted, "inner": inner}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self._noted = dict(state[NOTED])
        if self._inner is not None:
            self._inner.load_state_dict(state.get("inner", {}))
