"""What a process holds in memory while something runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path

SECONDS_BETWEEN_LOOKS = 0.02


class Memory:
    """Watches this process' anonymous memory while the body runs."""

    def __init__(self) -> None:
        self._peak = 0.0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._started = time.perf_counter()
        self._seconds = 0.0

    def __enter__(self) -> Memory:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()
        self._seconds = time.perf_counter() - self._started

    def figures(self) -> dict[str, float]:
        """Return the seconds that it took, and the highest memory seen."""
        return {"seconds": round(self._seconds, 1), "peak_mb": round(self._peak, 1)}

    def _watch(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            self._peak = max(self._peak, anonymous_megabytes())


def anonymous_megabytes() -> float:
    """Return the memory of this process that is no page of a file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e3
