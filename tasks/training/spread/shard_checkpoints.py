"""Checkpoints of a training in shards: each rank writes its own, while the training goes on.

``torch.distributed.checkpoint`` writes what lies in shards, as safetensors, from a copy in the
host's memory. What all ranks have alike the first writes as ``checkpoints`` does, when all shards
are there: the JSON file, renamed into place last, names them with their sha256. So one that is
torn is never taken, and one of another number of ranks can be read.
"""

from __future__ import annotations

import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.tensor import DTensor, Shard, zeros

from tasks.contracts import files
from tasks.progress import say
from tasks.training.checkpoints import SEPARATOR, Checkpoints
from tasks.training.ranks import rank

if TYPE_CHECKING:
    from pathlib import Path

    from torch.distributed.device_mesh import DeviceMesh

SHARDS = "shards"


class ShardCheckpoints(Checkpoints):
    """The checkpoints of one training in shards; all ranks save, load and finish together."""

    def __init__(self, folder: Path, mesh: DeviceMesh) -> None:
        """Use a folder that belongs to one training of one stage hash, on one mesh of ranks."""
        super().__init__(folder)
        self._mesh = mesh
        self._group = dist.new_group(backend="gloo")
        self._completer = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Begin to write a checkpoint; one that has not ended is waited for.

        Args:
            step: how many steps are done.
            state: nested dictionaries of tensors, some in shards, and plain values.
        """
        started = time.monotonic()
        self.finish()
        shards: dict[str, Any] = {}
        alike = _without_shards(state, (), shards)
        folder = self._shards_of(step)
        if rank() == 0:
            shutil.rmtree(folder, ignore_errors=True)  # of a run that ended while it was written
        dist.barrier(self._group)
        written = dcp.async_save(
            shards,
            storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True),
            process_group=self._group,
        )
        assert isinstance(written, Future)  # noqa: S101 - of our own choice of a stager
        alike[SHARDS] = {
            name: [str(value.dtype).removeprefix("torch."), *value.shape]
            for name, value in shards.items()
        }
        self._pending = self._completer.submit(self._complete, step, alike, written)
        self._last = time.monotonic()
        self._last_took = self._last - started
        self.seconds += self._last_took

    def finish(self) -> None:
        """Wait until the last checkpoint is written."""
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def load(self) -> dict[str, Any] | None:
        """Return the newest whole checkpoint's state; ``None`` if there is none."""
        found: list[str | None] = [self._newest() if rank() == 0 else None]
        dist.broadcast_object_list(found, src=0, group=self._group)
        if found[0] is None:
            return None
        path = self._folder / found[0]
        state = super()._read(path)
        shards = {
            name: zeros(
                *shape,
                dtype=getattr(torch, dtype),
                device_mesh=self._mesh,
                placements=[Shard(0)],
            )
            for name, (dtype, *shape) in state.pop(SHARDS).items()
        }
        state.pop(f"{SHARDS}_sha256")
        reader = HuggingFaceStorageReader(str(path.with_suffix(f".{SHARDS}")))
        dcp.load(shards, storage_reader=reader, process_group=self._group)
        for name, value in shards.items():
            *keys, last = name.split(SEPARATOR)
            parent = state
            for key in keys:
                parent = parent.setdefault(key, {})
            parent[last] = value
        return state

    def _complete(self, step: int, alike: dict[str, Any], written: Future[Any]) -> None:
        """Make a checkpoint one that is taken, when all ranks have written their shards."""
        try:
            written.result()
            if rank() == 0:
                digest = files.sha256_of_folder(self._shards_of(step))
                self._write(step, {**alike, f"{SHARDS}_sha256": digest})
                for folder in self._folder.glob(f"step-*.{SHARDS}"):
                    if not folder.with_suffix(".json").exists():
                        shutil.rmtree(folder, ignore_errors=True)
        except (OSError, dcp.api.CheckpointException) as error:
            say(f"no checkpoint at step {step:,}: {self._folder}: {error}; training goes on")

    def _newest(self) -> str | None:
        """Return the name of the newest checkpoint that is whole."""
        for path in sorted(self._folder.glob("step-*.json"), reverse=True):
            try:
                state = super()._read(path)
                found = files.sha256_of_folder(path.with_suffix(f".{SHARDS}"))
                if found != state[f"{SHARDS}_sha256"]:
                    raise ValueError("its shards do not have the sha256 noted with them")
            except (OSError, ValueError, KeyError, TypeError) as error:
                say(f"{path}: not a whole checkpoint ({error}); the one before it is used")
            else:
                return path.name
        return None

    def _shards_of(self, step: int) -> Path:
        return self._folder / f"step-{step:012}.{SHARDS}"


def _without_shards(value: Any, names: tuple[str, ...], shards: dict[str, Any]) -> Any:
    """Return a copy of nested dictionaries without what lies in shards, which is put aside."""
    kept = {}
    for key, inner in value.items():
        path = (*names, str(key))
        if isinstance(inner, DTensor):
            shards[SEPARATOR.join(path)] = inner.detach()
        elif isinstance(inner, dict):
            kept[key] = _without_shards(inner, path, shards)
        else:  # the training goes on while this is written
            kept[key] = (
                inner.detach().cpu().clone() if isinstance(inner, Tensor) else deepcopy(inner)
            )
    return kept
