"""Batch t is a pure function of the seed and t."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.training.batches import BatchOrder

lengths = st.lists(st.integers(1, 500), min_size=1, max_size=300).map(np.array)


@given(
    lengths=lengths, size=st.integers(1, 50), seed=st.integers(0, 2**40), epoch=st.integers(0, 3)
)
def test_each_example_stands_in_each_epoch_once(
    lengths: np.ndarray, size: int, seed: int, epoch: int
) -> None:
    order = BatchOrder(lengths, size, seed)
    steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
    seen = np.concatenate([order.indices(step) for step in steps])
    assert sorted(seen) == list(range(len(lengths)))


@given(lengths=lengths, seed=st.integers(0, 2**40), step=st.integers(0, 1000))
def test_a_batch_does_not_depend_on_those_before_it(
    lengths: np.ndarray, seed: int, step: int
) -> None:
    walked = BatchOrder(lengths, 7, seed)
    for earlier in range(min(step, 20)):
        walked.indices(earlier)
    assert walked.indices(step).tolist() == BatchOrder(lengths, 7, seed).indices(step).tolist()


def test_batches_hold_examples_of_like_length() -> None:
    lengths = np.random.default_rng(0).integers(10, 500, 2000)
    order = BatchOrder(lengths, 32, 0)
    padded = sum(
        lengths[order.indices(step)].max() * len(order.indices(step))
        for step in range(order.steps_per_epoch)
    )
    assert lengths.sum() / padded > 0.9


def test_another_seed_is_another_order() -> None:
    lengths = np.ones(100, dtype=int)
    assert (
        BatchOrder(lengths, 10, 0).indices(0).tolist()
        != BatchOrder(lengths, 10, 1).indices(0).tolist()
    )
