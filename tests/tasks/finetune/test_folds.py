"""Cross-validation: how records are dealt, and when a fold's training ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.finetune.folds import FixedEpochs, assign_folds


@given(st.lists(st.integers(5, 30), min_size=2, max_size=5), st.integers(2, 5), st.integers(0, 3))
def test_folds_are_even_over_all_records_and_over_each_class(
    sizes: list[int], num_folds: int, seed: int
) -> None:
    labels = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    ids = [f"record {number}" for number in range(len(labels))]
    folds = assign_folds(ids, labels, num_folds, seed)
    assert set(folds) == set(range(num_folds))
    assert np.ptp(np.bincount(folds)) <= 1
    for label in set(labels):
        of_class = folds[[known == label for known in labels]]
        assert np.ptp(np.bincount(of_class, minlength=num_folds)) <= 1


@given(st.permutations(range(20)))
def test_the_fold_of_a_record_does_not_depend_on_the_order(order: list[int]) -> None:
    ids, labels = [f"record {i}" for i in range(20)], ["a", "b"] * 10
    folds = assign_folds(ids, labels, 3, 0)
    moved = assign_folds([ids[i] for i in order], [labels[i] for i in order], 3, 0)
    assert moved.tolist() == folds[order].tolist()


def test_another_seed_deals_otherwise() -> None:
    ids, labels = [f"record {i}" for i in range(20)], ["a", "b"] * 10
    assert assign_folds(ids, labels, 2, 0).tolist() != assign_folds(ids, labels, 2, 1).tolist()


def test_a_class_smaller_than_the_number_of_folds_is_refused() -> None:
    expected = (
        r"folds: 4, but train and validation hold 3 records of the class 'corn': take fewer folds"
    )
    with pytest.raises(BadInput, match=expected):
        assign_folds([str(i) for i in range(9)], ["corn"] * 3 + ["earn"] * 6, 4, 0)


def test_a_training_of_fixed_epochs_ends_after_them() -> None:
    callback = FixedEpochs(2)
    assert [callback.after_epoch(epoch) for epoch in (1, 2)] == [False, True]
