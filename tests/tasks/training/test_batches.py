"""Batch t is a pure function of the seed and t."""

import numpy as np
import pytest
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


def padding_of(order: BatchOrder, lengths: np.ndarray) -> float:
    """Return which share of what an epoch computes is padding."""
    batches = [order.indices(step) for step in range(order.steps_per_epoch)]
    computed = sum(lengths[batch].max() * len(batch) for batch in batches)
    return float(1 - lengths.sum() / computed)


@pytest.mark.parametrize("longest", [128, 256, 512, 2048])
def test_less_than_five_percent_of_what_is_computed_is_padding(longest: int) -> None:
    # Lengths as Reuters' are: half below 80 tokens, a long tail.
    drawn = np.random.default_rng(0).lognormal(np.log(80), 0.8, 6000)
    lengths = np.clip(drawn, 10, longest).astype(int)
    order = BatchOrder(lengths, 32, 0)
    assert padding_of(order, lengths) < 0.05
    mixed = [np.ptp(lengths[order.indices(step)]) for step in range(order.steps_per_epoch)]
    assert max(mixed) > 10


def test_batches_are_sorted_over_no_more_than_little_padding_needs() -> None:
    # Of two lengths, in any order: stretches of 16 batches leave 1 of 16 mixed.
    lengths = np.tile([100, 104], 3200)
    batches = BatchOrder(lengths, 32, 0)
    mixed = sum(np.ptp(lengths[batches.indices(step)]) > 0 for step in range(200))
    assert 6 <= mixed <= 14


def test_another_seed_is_another_order() -> None:
    lengths = np.ones(100, dtype=int)
    assert (
        BatchOrder(lengths, 10, 0).indices(0).tolist()
        != BatchOrder(lengths, 10, 1).indices(0).tolist()
    )
