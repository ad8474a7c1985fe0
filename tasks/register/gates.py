"""The gates: what a model's metrics must reach."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import one_of


def missed_gates(metrics: Mapping[str, Any], floors: Mapping[str, float]) -> list[str]:
    """Return one sentence for each gate that the metrics do not pass.

    A metric that is absent, null or not a number passes no gate.
    """
    missed = []
    for name, floor in sorted(floors.items()):
        value = _at(metrics, name)
        if value is None:
            numbers = [key for key, found in metrics.items() if isinstance(found, (int, float))]
            missed.append(f"{name} has no value; {one_of(name, numbers)}")
        elif not value >= floor:
            missed.append(f"{name} is {value}, below {floor}")
    return missed


def _at(metrics: Mapping[str, Any], name: str) -> float | None:
    found: Any = metrics
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    return found if is_number else None
