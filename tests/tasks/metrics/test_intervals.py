"""Intervals agree with published tables and with theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.intervals import bootstrap, over_repeats, resamples, wilson


@pytest.mark.parametrize(
    ("num_hits", "num_trials", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_the_published_table(
    num_hits: int, num_trials: int, low: float, high: float
) -> None:
    assert wilson(num_hits, num_trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_within_0_and_1(case: tuple[int, int]) -> None:
    low, high = wilson(*case)
    assert -1e-12 <= low <= case[0] / case[1] + 1e-12
    assert case[0] / case[1] - 1e-12 <= high <= 1 + 1e-12


def test_every_resample_holds_as_many_records_as_there_are() -> None:
    batches = list(resamples(7, 120, [0]))
    assert [len(batch) for batch in batches] == [50, 50, 20]
    assert set(np.concatenate(batches).sum(axis=1)) == {7.0}


def test_the_bootstrap_of_a_mean_agrees_with_theory() -> None:
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap(lambda c: {"mean": c @ values / c.sum(axis=1)}, 400, 4000, [1])["mean"]
    error = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.006)


def test_a_metric_that_no_resample_defines_has_no_interval() -> None:
    found = bootstrap(lambda counts: {"area": np.full(len(counts), np.nan)}, 5, 100, [0])
    assert found == {"area": None}


def test_the_seed_fixes_the_interval() -> None:
    def mean(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {"mean": counts @ np.arange(30.0)}

    assert bootstrap(mean, 30, 100, [1, 2]) == bootstrap(mean, 30, 100, [1, 2])
    assert bootstrap(mean, 30, 100, [1, 2]) != bootstrap(mean, 30, 100, [1, 3])


@pytest.mark.parametrize("num_repeats", [2, 3, 5])
@pytest.mark.parametrize("of_seeds", [0.0, 0.01, 0.05])
def test_the_interval_over_repeats_holds_the_truth_as_often_as_it_says(
    num_repeats: int, of_seeds: float
) -> None:
    """With other seeds and other records each time, whichever of the two varies more."""
    generator, trials, num_records = np.random.default_rng(0), 400, 300
    held, held_by_records = 0, 0
    for _ in range(trials):
        seeds = generator.normal(0.03, of_seeds, (num_repeats, 1))
        records = generator.normal(0, 0.3, num_records)
        values = seeds + records + generator.normal(0, 0.2, (num_repeats, num_records))
        low, high = over_repeats(values) or (1, 0)
        held += low <= 0.03 <= high
        error = 1.96 * values[0].std() / num_records**0.5
        held_by_records += abs(values[0].mean() - 0.03) <= error
    assert held / trials >= 0.94
    if of_seeds == 0.05:
        # What one pair of model and twin used to be told with.
        assert held_by_records / trials < 0.7


def test_the_interval_over_repeats_needs_two_of_each() -> None:
    assert over_repeats(np.ones((1, 9))) is None
    assert over_repeats(np.ones((9, 1))) is None
    assert over_repeats(np.ones((2, 2))) == (1, 1)
