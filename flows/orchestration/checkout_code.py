"""Acting on another checkout with that one's own code, inside the process that runs now.

A nightly flow run starts with the code of the workspace that serves it, and works in a clone that
may be at another commit. What it runs there must be the clone's code, or code and data would not
match; and it must be in this process, so that the stages are task runs of this very flow run.
"""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

OURS = ("flows", "tasks")


@contextlib.contextmanager
def code_of(root: Path) -> Iterator[None]:
    """Import ``flows`` and ``tasks`` from another checkout, with it as the current directory.

    Modules that were imported before are put back afterwards. No other thread may import meanwhile.

    Args:
        root: the other checkout.
    """
    kept = _taken_out()
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    try:
        with contextlib.chdir(root):
            yield
    finally:
        sys.path.remove(str(root))
        _taken_out()
        sys.modules.update(kept)


def _taken_out() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in OURS]
    return {name: sys.modules.pop(name) for name in names}
