"""Pairs that are alike, made into clusters."""

import numpy as np


def join(joined: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the clusters with those of each pair made one.

    Args:
        joined: for each record the first member of its cluster.
        first: records.
        second: for each of these, one that belongs to the same cluster.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(first):
        return joined
    everyone = np.arange(len(joined))
    ends = np.concatenate((everyone, first)), np.concatenate((joined, second))
    graph = coo_array((np.ones(len(ends[0]), dtype=np.int8), ends), shape=(len(joined),) * 2)
    return by_first_member(connected_components(graph, directed=False)[1])


def by_first_member(numbers: np.ndarray) -> np.ndarray:
    """Rename clusters of any numbers to the index of their first member."""
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])
