"""Numbers on the disk, for what would not fit into memory: appended, then read by their places."""

import mmap
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from tasks.contracts.paths import STATE
from tasks.machine import memory
from tasks.machine.scratch import scratch_file

ITEMS_AT_ONCE = 2**20
"""Numbers that are in memory at a time where all of a column are gone through."""
_HELD_BYTES = 2**26


class Column:
    """Numbers of one type, in a file."""

    def __init__(self, dtype: Any) -> None:
        """Begin with none."""
        self._dtype = np.dtype(dtype)
        self._file = scratch_file(STATE)
        weakref.finalize(self, self._file.close)
        self._length = 0
        self._mapped: tuple[mmap.mmap, np.ndarray] | None = None
        self._touched = 0

    def __len__(self) -> int:
        return self._length

    def add(self, items: np.ndarray) -> None:
        """Append numbers; not after the first that were read."""
        self._file.write(np.ascontiguousarray(items, self._dtype).data)
        self._length += len(items)

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return the numbers between two places, all without them."""
        self._file.flush()
        stop = self._length if stop is None else stop
        self._file.seek(start * self._dtype.itemsize)
        return np.fromfile(self._file, self._dtype, max(0, stop - start))

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all numbers, some at a time."""
        step = memory.share(ITEMS_AT_ONCE)
        for start in range(0, self._length, step):
            yield self.read(start, min(self._length, start + step))

    def gather(self, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return several runs of numbers, one after another.

        Args:
            starts: where each run begins.
            lengths: how many numbers each has.
        """
        total = int(lengths.sum())
        if not total:
            return np.zeros(0, self._dtype)
        content = self._content()
        before = np.cumsum(lengths) - lengths
        found = content[np.repeat(starts - before, lengths) + np.arange(total)]
        # The system maps the pages around each one that is read: as if each run had read so many.
        self._touched += total * self._dtype.itemsize + len(starts) * 16 * mmap.PAGESIZE
        if self._touched > _HELD_BYTES and self._mapped:
            self._mapped[0].madvise(mmap.MADV_DONTNEED)
            self._touched = 0
        return np.asarray(found)

    def _content(self) -> np.ndarray:
        if self._mapped is None:
            self._file.flush()
            mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self._mapped = mapped, np.frombuffer(mapped, self._dtype)
        return self._mapped[1]
