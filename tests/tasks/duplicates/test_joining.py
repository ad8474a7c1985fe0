"""Pairs that are made clusters, some at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.duplicates.joining import Clusters

PAIR = st.tuples(st.integers(0, 11), st.integers(0, 11))


@given(st.lists(st.lists(PAIR, max_size=4), max_size=6))
def test_a_cluster_is_what_hangs_together(batches: list[list[tuple[int, int]]]) -> None:
    clusters = Clusters(12)
    members = {number: {number} for number in range(12)}
    for pairs in batches:
        both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        clusters.join(both[:, 0], both[:, 1])
        for first, second in pairs:
            joined = members[first] | members[second]
            members.update(dict.fromkeys(joined, joined))
        some = np.array([3, 3, 11])
        assert clusters.first_of(some).tolist() == [min(members[at]) for at in some.tolist()]
    assert clusters.all().tolist() == [min(members[number]) for number in range(12)]
