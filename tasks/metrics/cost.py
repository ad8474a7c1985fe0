"""What an answer costs: the time of one record at a time, and the bytes of a model's files.

The figures differ from machine to machine and from run to run: they never go into a DVC output.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WARM_UP = 5


def milliseconds(score: Callable[[list[Any]], Any], contents: Sequence[Any]) -> list[float]:
    """Return how long each record takes by itself, after some that do not count.

    Args:
        score: scores a list of records.
        contents: texts, or encoded images.
    """
    for content in (list(contents) * WARM_UP)[:WARM_UP]:
        score([content])
    times = []
    for content in contents:
        start = time.perf_counter()
        score([content])
        times.append(1000 * (time.perf_counter() - start))
    return times


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
