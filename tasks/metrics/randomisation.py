"""The paired approximate randomisation test: for any metric of two systems on the same records.

If both are equally good, it does not matter which of the two has answered a record: the answers to
each record are exchanged by the toss of a coin, and the metric's difference is taken again.

Noreen 1989, "Computer-Intensive Methods for Testing Hypotheses"; for metrics of language
processing: Yeh 2000, "More accurate tests for the statistical significance of result differences",
COLING, pages 947 to 953.

Dimensions: S draws, N records; 2N answers, those of the first system before those of the second.
"""

from collections.abc import Callable

import numpy as np

from tasks.metrics.scores import Floats

DRAWS = 10_000
NUMBERS_AT_ONCE = 4_000_000
"""Bounds the memory; changes no result."""


def paired_randomisation(
    measure: Callable[[Floats], Floats],
    num_records: int,
    num_draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the difference of a metric, first system less second, and its two-sided p-value.

    The p-value counts the observed difference among the draws, so that it never rejects too often.

    Where the metric is not a number, the p-value is 1: nothing is told.

    Args:
        measure: gives the metric, S, from how often each of the 2N answers counts, S 2N.
        num_records: N.
        num_draws: S in all.
        seed: fixes the draws.
    """
    generator = np.random.default_rng([seed, num_records])
    at_once = max(1, min(num_draws, NUMBERS_AT_ONCE // (2 * num_records)))
    observed = float(_difference(measure, np.zeros((1, num_records)))[0])
    if not np.isfinite(observed):
        return observed, 1.0
    num_as_large = 0
    for start in range(0, num_draws, at_once):
        size = min(at_once, num_draws - start)
        exchanged = generator.integers(0, 2, size=(size, num_records)).astype(float)
        drawn = np.abs(_difference(measure, exchanged))
        # A draw that is the observed assignment, or its mirror, may differ in the last digit.
        num_as_large += int((drawn >= abs(observed) - 1e-12).sum())
    return observed, (1 + num_as_large) / (1 + num_draws)


def _difference(measure: Callable[[Floats], Floats], exchanged: Floats) -> Floats:
    of_first = np.concatenate([1 - exchanged, exchanged], axis=1)
    difference: Floats = measure(of_first) - measure(1 - of_first)
    return difference
