"""Checkpoints of a training: written atomically, checked by hash when read, two kept.

A checkpoint is two files: the tensors (``safetensors``) and, renamed into place last, a JSON file
with the rest and the sha256 of the tensors. One that is torn, altered or of another training is
refused, and the one before is used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.progress import say

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 2
SECONDS_BETWEEN = 60.0
# Time inside checkpoint calls stays below 1 / this share of the training time.
TIMES_AS_LONG = 100.0
# One write that something else held up must not leave hours of training unsaved.
LONGEST_SECONDS_BETWEEN = 1800.0
SEPARATOR = "/"


class Checkpoints:
    """The checkpoints of one training.

    Attributes:
        seconds: the time spent in here.
    """

    def __init__(self, folder: Path) -> None:
        """Use a folder that belongs to one training of one stage hash.

        Raises:
            BadInput: the folder cannot be written to.
        """
        self.seconds = 0.0
        self._folder = folder
        self._last = time.monotonic()
        self._last_took = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".writable.{os.getpid()}"  # every rank tries
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise BadInput(
                f"{folder}: checkpoints cannot be written here ({error.strerror}): make room, or "
                "make it writable"
            ) from None

    @property
    def due(self) -> bool:
        """Tell whether it is time for the next one."""
        waited = time.monotonic() - self._last
        wanted = max(SECONDS_BETWEEN, TIMES_AS_LONG * self._last_took)
        return waited >= min(wanted, LONGEST_SECONDS_BETWEEN)

    def require_room(self, num_bytes: int) -> None:
        """Check that all checkpoints that are kept at once fit.

        Raises:
            BadInput: the disk has not so much room.
        """
        needed, free = (KEPT + 1) * num_bytes, shutil.disk_usage(self._folder).free
        if free < needed:
            raise BadInput(
                f"{self._folder}: checkpoints need {needed / 1e6:,.0f} MB, the disk has "
                f"{free / 1e6:,.0f} MB free: make room"
            )

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint; a disk that is full by now costs the checkpoint, not the training.

        Args:
            step: how many steps are done.
            state: nested dictionaries of tensors and plain values.
        """
        started = time.monotonic()
        try:
            self._write(step, state)
        except OSError as error:
            say(
                f"no checkpoint at step {step:,}: {self._folder}: {error.strerror or error}; "
                f"{_advice(error)}; training goes on"
            )
        self._last = time.monotonic()
        self._last_took = self._last - started
        self.seconds += self._last_took

    def finish(self) -> None:
        """Wait for what is still being written: here, nothing."""

    def load(self) -> dict[str, Any] | None:
        """Return the newest whole checkpoint's state; ``None`` if there is none."""
        for path in sorted(self._folder.glob("step-*.json"), reverse=True):
            try:
                return self._read(path)
            except (OSError, ValueError, KeyError, TypeError) as error:
                say(f"{path}: not a whole checkpoint ({error}); the one before it is used")
        return None

    def _write(self, step: int, state: dict[str, Any]) -> None:
        from safetensors.torch import save as to_bytes

        for torn in self._folder.glob(".step-*.tmp"):  # left by a kill in the middle of this
            torn.unlink()
        tensors: dict[str, Tensor] = {}
        values = _split(state, (), tensors)
        content = to_bytes({name: value.detach().cpu() for name, value in tensors.items()})
        name = f"step-{step:012}"
        files.write_bytes(self._folder / f"{name}.safetensors", content)
        about = {
            "training": self._folder.as_posix(),
            "sha256": hashlib.sha256(content).hexdigest(),
            "values": values,
        }
        files.write_json(self._folder / f"{name}.json", about)
        for old in sorted(self._folder.glob("step-*.json"))[:-KEPT]:
            old.unlink()
            old.with_suffix(".safetensors").unlink(missing_ok=True)

    def _read(self, path: Path) -> dict[str, Any]:
        from safetensors.torch import load as from_bytes

        about = files.read_json(path)
        if about["training"] != self._folder.as_posix():
            raise ValueError(f"it is of {about['training']}")
        content = path.with_suffix(".safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            raise ValueError("its tensors do not have the sha256 noted with them")
        state: dict[str, Any] = about["values"]
        for name, value in from_bytes(content).items():
            parent = state
            *keys, last = name.split(SEPARATOR)
            for key in keys:
                parent = parent.setdefault(key, {})
            parent[last] = value
        return state


def _split(value: Any, names: tuple[str, ...], tensors: dict[str, Tensor]) -> Any:
    """Return nested dictionaries without their tensors, which go to ``tensors`` by path."""
    from torch import Tensor

    kept = {}
    for key, inner in value.items():
        path = (*names, str(key))
        if isinstance(inner, Tensor):
            tensors[SEPARATOR.join(path)] = inner.contiguous()
        else:
            kept[str(key)] = _split(inner, path, tensors) if isinstance(inner, dict) else inner
    return kept


def _advice(error: OSError) -> str:
    return "make room" if error.errno == errno.ENOSPC else "make the folder writable"
