"""What an objective gives the training loop."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from tasks.training.optimizers import Optimizers
    from tasks.training.spread.shards import Shards

Batch = dict[str, "Tensor"]


class ExampleRandom:
    """The random numbers of the examples of one batch, each with a stream of its own.

    The streams are keyed by (seed, step, position in the batch): Philox (Salmon et al., 2011) is a
    function of its key and counter, so that a stream costs nothing until it is asked for.
    """

    def __init__(self, seed: int, step: int, positions: np.ndarray | range) -> None:
        self._seed = seed
        self._step = step
        self._positions = positions

    def __getitem__(self, index: int) -> np.random.Generator:
        """Return the generator of one example, at its beginning."""
        counter = [0, 0, int(self._positions[index]), self._step]
        return np.random.Generator(np.random.Philox(key=self._seed, counter=counter))


class Task:
    """A model, its data and its loss.

    Most objectives have one loss and need no ``step`` of their own. One with several optimizers
    (adversarial) names them in ``optimized`` and takes their steps in ``step``.

    Attributes:
        model: a torch module with everything that is trained and kept in a checkpoint.
        lengths: the cost of each training example, in tokens (1 for images).
        trains: False for one whose model is ready as it is: no step is taken.
        shards: where the model lies in shards on all ranks (``spread.shards``).
        about: what ``downstream.json`` says of the backbone beside architecture and objective.
    """

    model: Any
    lengths: np.ndarray
    trains: bool = True
    shards: Shards | None = None
    about: Mapping[str, Any] = MappingProxyType({})

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return the tensors of some training examples, a pure function of its arguments.

        ``counts`` among them holds the numbers that the terms of the loss are divided by: tokens,
        examples. The loop gives ``loss`` their sums over the whole batch, however it is spread.
        """
        raise NotImplementedError

    def loss(self, batch: Batch) -> Tensor:
        """Return a scalar to minimise: sums over the examples, divided by ``batch["counts"]``."""
        raise NotImplementedError

    def step(self, optimizers: Optimizers, parts: list[Batch]) -> Tensor:
        """Take one step; return the loss of the whole batch, to be shown."""
        return optimizers.minimise(self.loss, parts)

    def optimized(self) -> dict[str, list[dict[str, Any]]]:
        """Return each optimizer's groups.

        A group has ``params``, and perhaps ``scale`` of the rate, ``betas``, and ``decayed``: False
        for what weight decay shall leave alone.
        """
        return {"model": [{"params": list(self.model.parameters())}]}

    def validate(self) -> dict[str, float]:
        """Return metrics on the validation split, beside those of a trivial reference."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Write the backbone."""
        raise NotImplementedError
