"""Slices of enough records are tested, the others told; bins add up."""

import numpy as np
import pytest

from tasks.metrics.scores import Scored
from tasks.metrics.slices import Slice
from tasks.promotion.comparison.changes import calibration_bins, disagree, slice_changes


def _scored(true: list[int], predicted: list[int], num_classes: int) -> Scored:
    return Scored(np.array(true), np.array(predicted), np.eye(num_classes)[predicted])


def test_small_slices_are_not_tested_and_do_not_weigh_on_the_others() -> None:
    true = [0] * 40 + [1] * 10
    candidate = _scored(true, true, 2)
    champion = _scored(true, [1] * 8 + [0] * 32 + [0] * 10, 2)
    masks = [np.array(true) == number for number in (0, 1)]
    slices = [Slice("class", name, mask) for name, mask in zip("ab", masks, strict=True)]
    large, small = slice_changes(candidate, champion, slices, 0.05, 30)
    assert (large["records"], large["difference"], large["verdict"]) == (40, 0.2, "better")
    # 8 of 8 disagreements: 2 / 2^8, and no correction, since it is the only one that is tested.
    assert large["adjusted_p_value"] == large["p_value"] == pytest.approx(2 / 256)
    assert (small["p_value"], small["adjusted_p_value"]) == (None, None)
    assert (small["difference"], small["verdict"]) == (1.0, "too few records")
    both = slice_changes(candidate, champion, slices, 0.05, 10)
    assert [one["adjusted_p_value"] for one in both] == pytest.approx([2 / 256, 4 / 1024])


def test_disagreements_are_counted_and_tested() -> None:
    found = disagree(
        _scored([0, 0, 0, 0, 1], [0, 0, 0, 1, 0], 2),
        _scored([0, 0, 0, 0, 1], [0, 1, 1, 0, 0], 2),
        0.05,
    )
    assert found["both_right"] == 1
    assert found["only_candidate_right"] == 2
    assert found["only_champion_right"] == 1
    assert found["both_wrong"] == 1
    assert found["p_value"] == 1.0


def test_only_filled_bins_are_kept() -> None:
    scores = np.array([[0.9, 0.1], [0.95, 0.05], [0.4, 0.6]])
    found = calibration_bins(Scored(np.array([0, 1, 1]), np.array([0, 0, 1]), scores))
    assert [(one["records"], one["accuracy"]) for one in found] == [(1, 1.0), (1, 1.0), (1, 0.0)]
    assert [one["confidence"] for one in found] == pytest.approx([0.6, 0.9, 0.95])
