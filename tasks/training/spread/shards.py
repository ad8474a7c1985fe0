"""A transformer whose weights, gradients and moments lie in shards, one on each rank (FSDP2).

A layer's weights are gathered when it computes, in the forward and in the backward pass, and freed
after it; its gradients are added up where they lie. So the memory of a rank falls with the number
of ranks, where ``ranks`` alone holds all on each (Zhao et al., 2023, as ``fully_shard``).

A validation is made with all weights gathered, without moments and gradients. When the training is
over, the first rank has the whole model, as it has without shards.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from tasks.errors import BadSettings
from tasks.training.loop import weights_of
from tasks.training.ranks import num_ranks, rank
from tasks.training.spread.shard_checkpoints import ShardCheckpoints
from tasks.training.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Computed(nn.Module):
    """A model, and whatever is computed with all parts of it: weights outside layers are there."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do some work."""
        return work(*arguments)


class Shards:
    """The shards of a task's model."""

    def __init__(self, task: Task) -> None:
        """Shard a task's model; its loss and its validation are computed with shards from now on.

        Raises:
            BadSettings: the model has no layers of a transformer, or takes steps of its own.
        """
        layers = [
            part for part in task.model.modules() if isinstance(part, GradientCheckpointingLayer)
        ]
        if not layers or type(task).step is not Task.step:
            raise BadSettings(
                "training.sharded is of transformers that are trained by one loss, and the "
                "objective or the architecture is none: drop it"
            )
        self._task = task
        self._whole = deepcopy(task.model).cpu() if rank() == 0 else None
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._mesh = init_device_mesh(device, (num_ranks(),))
        for layer in layers:
            fully_shard(layer, mesh=self._mesh, reshard_after_forward=True)
        self._root: Any = Computed(task.model)  # fully_shard gives it another class
        fully_shard(self._root, mesh=self._mesh, reshard_after_forward=True)
        for part in self._parts():
            # A loss is divided by the counts of the whole batch, so gradients are sums.
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
        self._own = task.loss, task.validate
        task.loss = partial(self._root, task.loss)  # type: ignore[method-assign]
        task.validate = partial(  # type: ignore[method-assign]
            self._root, self._validate, task.validate
        )
        self._on_host = dist.new_group(backend="gloo")

    def checkpoints(self, folder: Path) -> ShardCheckpoints:
        """Return the checkpoints of this training."""
        return ShardCheckpoints(folder, self._mesh)

    def num_parts(self, wanted: int, batch_size: int) -> int:
        """Return in how many parts every rank works off its share of a batch: all alike."""
        return max(1, min(wanted, batch_size // num_ranks()))

    def begin_part(self, *, is_last: bool) -> None:
        """Have gradients added up over ranks after the last part of a batch alone."""
        self._root.set_requires_gradient_sync(is_last)

    def clip(self, trained: list[Tensor], maximum: float) -> Tensor:
        """Clip gradients; return their norm before."""
        norm: Any = nn.utils.clip_grad_norm_(trained, maximum)
        whole: Tensor = norm.full_tensor()
        return whole

    def agreed(self, decision: bool) -> bool:
        """Return rank 0's decision to all ranks, without waiting for a device."""
        decided = torch.tensor(int(decision))
        dist.broadcast(decided, src=0, group=self._on_host)
        return bool(decided.item())

    def end(self) -> None:
        """Give the first rank the whole model; all ranks call this."""
        whole = weights_of(self._whole) if self._whole is not None else {}
        with torch.no_grad():
            for name, value in weights_of(self._task.model).items():
                full = value.full_tensor() if isinstance(value, DTensor) else value
                if name in whole:
                    whole[name].copy_(full)
        if self._whole is not None:
            self._task.model = self._whole.to(self._mesh.device_type)
        self._task.loss, self._task.validate = self._own  # type: ignore[method-assign]
        self._task.shards = None

    def _validate(self, validate: Callable[[], dict[str, float]]) -> dict[str, float]:
        with self._gathered():
            return validate()

    @contextmanager
    def _gathered(self) -> Iterator[None]:
        """Hold all weights on all ranks: these do not validate equally many batches."""
        layers = [part for part in self._parts() if part is not self._root]
        for layer in layers:
            layer.set_reshard_after_forward(False)
            layer.unshard()
        try:
            yield
        finally:
            for layer in layers:
                layer.reshard()
                layer.set_reshard_after_forward(True)

    def _parts(self) -> list[FSDPModule]:
        return [part for part in self._root.modules() if isinstance(part, FSDPModule)]
