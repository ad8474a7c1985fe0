"""The metrics of a training, step by step, as far as the training itself is concerned: appended.

A training that was killed and goes on from a checkpoint comes to the same metrics again; what
stands in the journal already is not written a second time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path

from tasks.progress import say
from tasks.tracking.runs.journal import append, last_steps


class MetricLog:
    """The metrics of one training, step by step.

    Attributes:
        seconds: the time spent in here.
    """

    def __init__(self, journal: Path | None, prefix: str = "") -> None:
        """Go on where the journal ends.

        Args:
            journal: its folder; without one, nothing is kept.
            prefix: stands before the names of the metrics.
        """
        self.seconds = 0.0
        self._journal = journal
        self._prefix = prefix
        self._last = last_steps(journal) if journal else {}

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the metrics of a step, but for those that are known already or are not finite."""
        started = time.perf_counter()
        named = {f"{self._prefix}{name}": float(value) for name, value in metrics.items()}
        new = {
            name: value
            for name, value in named.items()
            if math.isfinite(value) and step > self._last.get(name, -1)
        }
        if self._journal and new:
            self._last.update(dict.fromkeys(new, step))
            try:
                append(self._journal, {"step": step, "metrics": new})
            except OSError as error:
                # A full disk must not cost the training.
                say(
                    f"warning: {self._journal}: {error.strerror}; MLflow will not see the rest of "
                    "a curve"
                )
                self._journal = None
        self.seconds += time.perf_counter() - started

    def next_step(self) -> int:
        """Return a step after all that are known, where steps are only counted."""
        steps = (step for name, step in self._last.items() if name.startswith(self._prefix))
        return max(steps, default=-1) + 1
