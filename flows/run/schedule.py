"""Which stage may start now: its upstream is done, and there is a slot for it.

There is one slot a device for GPU stages, of which each takes as many as it trains on; the others
have as many as there are jobs. A stage that waits for its upstream holds none.
"""

import heapq
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
        self._order = list(order)
        self._place = {name: place for place, name in enumerate(self._order)}
        # One that asks for more than there are takes all: its own process knows what is to be done.
        self._wants = {name: min(gpu[name], devices) if name in gpu else 1 for name in self._order}
        self._needs_device = {name: name in gpu for name in self._order}
        self._free = {True: devices, False: jobs}
        self._blockers: dict[str, int] = {}
        """Of each stage that waits for its upstream, how much of that is not done."""
        self._followers: dict[str, list[str]] = {}
        # What may start as soon as there are slots, by kind and by how many it takes, the first in
        # order on top: no stage is looked at again and again that cannot start yet.
        self._ready: dict[bool, dict[int, list[int]]] = {True: {}, False: {}}
        for name in self._order:
            waited_for = [other for other in set(upstream[name]) if other in self._place]
            for other in waited_for:
                self._followers.setdefault(other, []).append(name)
            if waited_for:
                self._blockers[name] = len(waited_for)
            else:
                self._make_ready(name)
        self._lost: set[str] = set()
        self._started: set[str] = set()
        self.running: set[str] = set()
        self.skipped: list[str] = []

    def start_next(self) -> str | None:
        """Take the next stage that may start, or return ``None`` if there is none now."""
        fitting = [
            places
            for needs_device, by_slots in self._ready.items()
            for slots, places in by_slots.items()
            if slots <= self._free[needs_device] and self._drop_lost(places)
        ]
        if not fitting:
            return None
        name = self._order[heapq.heappop(min(fitting))]
        self._free[self._needs_device[name]] -= self._wants[name]
        self.running.add(name)
        self._started.add(name)
        return name

    def finish(self, name: str) -> None:
        """Note that a stage is done."""
        self._release(name)
        for follower in self._followers.get(name, ()):
            self._blockers[follower] -= 1
            if not self._blockers[follower]:
                del self._blockers[follower]
                self._make_ready(follower)

    def fail(self, name: str, keep_going: bool) -> None:
        """Note that a stage has failed: what depends on it is skipped.

        Args:
            name: the stage.
            keep_going: let the stages that do not depend on it start; otherwise none does any more.
        """
        self._release(name)
        found: set[str] = set()
        if keep_going:
            lost = [name]
            while lost:
                followers = set(self._followers.get(lost.pop(), ())) - found
                found |= followers
                lost += followers
        else:
            found = set(self._order) - self._started
        self.skipped += sorted(found - self._lost, key=self._place.__getitem__)
        self._lost |= found

    def _make_ready(self, name: str) -> None:
        by_slots = self._ready[self._needs_device[name]]
        heapq.heappush(by_slots.setdefault(self._wants[name], []), self._place[name])

    def _drop_lost(self, places: list[int]) -> bool:
        """Take what is skipped from the top of a heap; tell whether anything else is left."""
        while places and self._order[places[0]] in self._lost:
            heapq.heappop(places)
        return bool(places)

    def _release(self, name: str) -> None:
        self.running.remove(name)
        self._free[self._needs_device[name]] += self._wants[name]
