"""Which stage may start now: its upstream is done, and there is a slot for it.

There is one slot a device for GPU stages, of which each takes as many as it trains on; the others
have as many as there are jobs. A stage that waits for its upstream holds none.
"""

from collections.abc import Collection, Mapping, Sequence


class Schedule:
    """The stages of one run, from waiting to done."""

    def __init__(
        self,
        order: Sequence[str],
        upstream: Mapping[str, Collection[str]],
        gpu: Mapping[str, int],
        jobs: int,
        devices: int,
    ) -> None:
        """Set up a run.

        Args:
            order: the stages to look at, upstream first.
            upstream: whom each depends on; names that are not in ``order`` are done already.
            gpu: on how many devices each of those trains that need any.
            jobs: how many of the others may run at once.
            devices: how many there are for the GPU stages that run at once.
        """
        self._waiting = list(order)
        self._upstream = {name: set(upstream[name]) & set(order) for name in order}
        # One that asks for more than there are takes all: its own process knows what is to be done.
        self._gpu = {name: min(wanted, devices) for name, wanted in gpu.items()}
        self._slots = {True: devices, False: jobs}
        self._done: set[str] = set()
        self.running: set[str] = set()
        self.skipped: list[str] = []

    def start_next(self) -> str | None:
        """Take the next stage that may start, or return ``None`` if there is none now."""
        for name in self._waiting:
            if self._upstream[name] <= self._done and self._has_slot(name):
                self._waiting.remove(name)
                self.running.add(name)
                return name
        return None

    def finish(self, name: str) -> None:
        """Note that a stage is done."""
        self.running.remove(name)
        self._done.add(name)

    def fail(self, name: str, keep_going: bool) -> None:
        """Note that a stage has failed: what depends on it is skipped.

        Args:
            name: the stage.
            keep_going: let the stages that do not depend on it start; otherwise none does any more.
        """
        self.running.remove(name)
        lost = {name}
        for waiting in self._waiting:
            if not keep_going or self._upstream[waiting] & lost:
                lost.add(waiting)
        self.skipped += [waiting for waiting in self._waiting if waiting in lost]
        self._waiting = [waiting for waiting in self._waiting if waiting not in lost]

    def _has_slot(self, name: str) -> bool:
        needs_device = name in self._gpu
        rivals = [other for other in self.running if (other in self._gpu) == needs_device]
        busy = sum(self._gpu.get(other, 1) for other in rivals)
        return busy + self._gpu.get(name, 1) <= self._slots[needs_device]
