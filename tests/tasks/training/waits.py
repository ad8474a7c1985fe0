"""What in a training step would make the host of a GPU wait."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tasks.training.loop import _Training

# Operators that make a GPU's host wait: they read a value back, or need it for a shape.
WAITING = {
    "aten::_local_scalar_dense",
    "aten::is_nonzero",
    "aten::item",
    "aten::equal",
    "aten::nonzero",
    "aten::masked_select",
    "aten::_unique2",
}


class Waits(TorchDispatchMode):
    """Notes the operators that would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.name().split(".")[0]
        self.seen.add(name)
        if name in WAITING:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


def waits_of_a_step(training: _Training) -> Waits:
    """Take the first step, and count its loss, as the loop does between two readings."""
    _, parts = training._make(0)
    waits = Waits()
    if torch.cuda.is_available():
        torch.cuda.set_sync_debug_mode("error")
    try:
        with waits:
            training._meter.add(training._take_step(parts), 0)
    finally:
        if torch.cuda.is_available():
            torch.cuda.set_sync_debug_mode("default")
    return waits
