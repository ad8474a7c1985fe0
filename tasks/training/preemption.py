"""SIGTERM in a training: what a cluster sends some seconds before it takes a machine back."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.errors import Preempted
from tasks.training.ranks import rank

if TYPE_CHECKING:
    from collections.abc import Iterator


class Preemption:
    """Whether SIGTERM has come.

    Attributes:
        requested: it has; the loop looks after every step.
    """

    def __init__(self) -> None:
        self.requested = False
        self._at_once = False

    def _hear(self, *_: Any) -> None:
        self.requested = True
        if self._at_once:
            raise Preempted("stopped by SIGTERM; a checkpoint is kept: run again to go on from it")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Raise ``Preempted`` in the middle of the body, which may be long and changes nothing."""
        self._at_once = True
        try:
            if self.requested:
                self._hear()
            yield
        finally:
            self._at_once = False


@contextmanager
def preemption() -> Iterator[Preemption]:
    """Listen for SIGTERM until the body ends."""
    heard = Preemption()
    # Python lets the main thread alone listen. The first rank ends its step with the others' help,
    # which one that left as soon as it heard would not give.
    if threading.current_thread() is not threading.main_thread() or rank() > 0:
        yield heard
        return
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, heard._hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGTERM, before)
