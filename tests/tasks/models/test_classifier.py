"""A finished classifier's batches."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.models.classifier import BATCH_SIZE, FEWEST, LIKE_LENGTH, batches_of_like_length


@given(lengths=st.lists(st.integers(1, 300), max_size=400).map(lambda found: np.array(found, int)))
def test_each_record_is_scored_once_beside_others_of_like_length(lengths: np.ndarray) -> None:
    batches = list(batches_of_like_length(lengths))
    assert sorted(index for one in batches for index in one) == list(range(len(lengths)))
    for one in batches:
        assert len(one) <= BATCH_SIZE
        assert len(one) <= FEWEST or lengths[one].max() <= LIKE_LENGTH * lengths[one].min()
