"""What a process that is over in a second can do without: a quarter of its time."""

import gc
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

UNUSED_BY_A_PLAN = ("numpy", "pyarrow", "pyarrow.parquet")
"""Libraries that modules with settings import, for what their functions do when a stage runs."""


@contextmanager
def in_haste() -> Iterator[None]:
    """Look for no cycles in memory and no plugins of pydantic, and load some libraries on use."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    for name in UNUSED_BY_A_PLAN:
        load_on_use(name)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_on_use(name: str) -> None:
    """Let ``import name`` cost nothing until something of the library is used.

    Python's own ``LazyLoader`` loads at the second ``import`` already.
    """
    if name in sys.modules:
        return
    sys.modules[name] = module = _OnUse(name)
    parent, _, last = name.rpartition(".")
    if isinstance(sys.modules.get(parent), _OnUse):
        vars(sys.modules[parent])[last] = module


class _OnUse(ModuleType):
    """Stands in for a library, and becomes it when something of it is asked for."""

    def __getattr__(self, attribute: str) -> Any:
        name = self.__name__
        if sys.modules.get(name) is self:
            # What stands in for a part of it goes too, or the library would find that.
            for other in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
                del sys.modules[other]
        return getattr(importlib.import_module(name), attribute)
