"""The paired approximate randomisation test: against another implementation, and by simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import permutation_test

from tasks.metrics.randomisation import paired_randomisation
from tasks.metrics.scores import Floats


def mean_of(values: Floats) -> Callable[[Floats], Floats]:
    return lambda counts: counts @ values / counts.sum(axis=1)


def test_it_agrees_with_scipy_on_means() -> None:
    random = np.random.default_rng(5)
    ours, theirs = random.normal(0.6, 1, 11), random.normal(0, 1, 11)
    exact = permutation_test(
        (ours, theirs),
        lambda one, other: one.mean() - other.mean(),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    difference, p_value = paired_randomisation(mean_of(np.concatenate([ours, theirs])), 11)
    assert difference == pytest.approx(exact.statistic)
    assert 0.01 < exact.pvalue < 0.5
    deviation = np.sqrt(exact.pvalue * (1 - exact.pvalue) / 10_000)
    assert abs(p_value - exact.pvalue) < 4 * deviation


def test_equal_answers_give_no_evidence_and_a_clear_difference_does() -> None:
    values = np.arange(30.0)
    assert paired_randomisation(mean_of(np.tile(values, 2)), 30, 200) == (0.0, 1.0)
    better = np.concatenate([np.ones(30), np.zeros(30)])
    assert paired_randomisation(mean_of(better), 30, 500) == (1.0, 1 / 501)


def test_of_equal_models_at_most_five_per_cent_are_told_apart() -> None:
    """2,000 reviews for a metric of each kind: a mean, a ratio of sums, a root."""

    def of_ratios(pairs: Floats) -> Callable[[Floats], Floats]:
        def measure(counts: Floats) -> Floats:
            hits, wanted = (counts @ pairs).T
            ratio: Floats = 2 * hits / wanted
            return ratio

        return measure

    random = np.random.default_rng(11)
    found = {"mean": 0, "ratio": 0, "root": 0}
    for review in range(2000):
        shared = random.normal(size=40)
        errors = np.abs(np.concatenate([shared + random.normal(size=40) for _ in range(2)]))
        wanted = np.tile(random.integers(1, 5, 40), 2)
        pairs = np.stack([random.binomial(wanted, 0.7), 2 * wanted], axis=1).astype(float)
        measures = {
            "mean": mean_of(errors),
            "ratio": of_ratios(pairs),
            "root": lambda c, e=errors: np.sqrt(c @ e**2 / c.sum(axis=1)),
        }
        for name, measure in measures.items():
            found[name] += paired_randomisation(measure, 40, 199, seed=review)[1] < 0.05
    # Of a rate of 5 %, 2,000 reviews give 129 at most in 99.9 of 100 cases.
    assert all(40 < number <= 129 for number in found.values()), found


def test_a_metric_that_is_no_number_tells_nothing() -> None:
    difference, p_value = paired_randomisation(lambda c: np.full(len(c), np.nan), 10, 100)
    assert np.isnan(difference)
    assert p_value == 1
