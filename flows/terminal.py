"""How anything is printed: where tables go, durations and sizes as people say them."""

import sys

from rich.console import Console

PIPE_WIDTH = 160
UNITS = ("B", "kB", "MB", "GB", "TB")


def console(stderr: bool = False) -> Console:
    """Return where tables go: as wide as the terminal, and wide enough where there is none."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False)


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``0.4 s``, ``81 s``, ``12 min``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(num_bytes: int) -> str:
    """Return a size as people say it: ``512 B``, ``1.5 MB``."""
    amount = float(num_bytes)
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError
