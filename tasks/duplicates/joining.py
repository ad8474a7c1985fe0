"""Pairs that are alike, made into clusters."""

import numpy as np


class Clusters:
    """Records by the clusters that they belong to, each alone at first.

    To join some pairs costs time for these alone, however many records there are.
    """

    def __init__(self, number: int) -> None:
        """Begin with so many records."""
        # Of each record another one of its cluster, up to the first, which has itself.
        self._towards_first = np.arange(number)

    def first_of(self, records: np.ndarray) -> np.ndarray:
        """Return the first member of the cluster of each of some records."""
        first = self._towards_first[records]
        while not np.array_equal(first, further := self._towards_first[first]):
            first = further
        self._towards_first[records] = first
        return first

    def join(self, first: np.ndarray, second: np.ndarray) -> None:
        """Make the clusters of each pair one.

        Args:
            first: records.
            second: for each of these, one that belongs to the same cluster.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if not len(first):
            return
        ends = np.concatenate((self.first_of(first), self.first_of(second)))
        firsts, numbers = np.unique(ends, return_inverse=True)
        pairs = numbers[: len(first)], numbers[len(first) :]
        graph = coo_array((np.ones(len(first), np.int8), pairs), shape=(len(firsts),) * 2)
        component = connected_components(graph, directed=False)[1]
        # Sorted, so that the first of each component is the least.
        self._towards_first[firsts] = firsts[by_first_member(component)]

    def all(self) -> np.ndarray:
        """Return for each record the first member of its cluster."""
        return self.first_of(np.arange(len(self._towards_first)))


def by_first_member(numbers: np.ndarray) -> np.ndarray:
    """Rename clusters of any numbers to the index of their first member."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])
