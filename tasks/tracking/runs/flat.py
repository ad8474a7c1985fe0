"""Nested results as the flat numbers and texts that MLflow keeps."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST_TEXT = 5000


def metrics_of(values: Mapping[str, Any]) -> list[tuple[str, float, int]]:
    """Return (name, value, step) of every number, nested names joined by dots.

    Of an interval, ``[low, high]`` under ``intervals``, come ``….low`` and ``….high``. Any other
    list of numbers is a curve, one value a step. What is no finite number is left out.
    """
    found = []
    for path, value in _leaves(values):
        if isinstance(value, (list, tuple)):
            is_interval = path[0] == "intervals" and len(value) == 2
            for step, item in enumerate(value):
                name = [*path, "low" if step == 0 else "high"] if is_interval else path
                found.append((".".join(name), item, 0 if is_interval else step))
        else:
            found.append((".".join(path), value, 0))
    return [(name, float(value), step) for name, value, step in found if _is_number(value)]


def texts_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return every value as text, nested names joined by dots."""
    return {".".join(path): str(value)[:LONGEST_TEXT] for path, value in _leaves(values)}


def _leaves(values: Mapping[str, Any]) -> Iterator[tuple[list[str], Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            for path, leaf in _leaves(value):
                yield [str(key), *path], leaf
        else:
            yield [str(key)], value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
