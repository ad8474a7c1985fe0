"""95 % intervals: Wilson's for a share of records, the percentile bootstrap for other metrics.

The interval over repeated trainings covers their variance beside that of the records.

Dimensions: S resamples of the test records, N test records, R repeats of a training.
"""

from collections.abc import Callable, Iterator

import numpy as np

from tasks.metrics.scores import Floats

Interval = tuple[float, float] | None
Metrics = dict[str, Floats]

LEVEL = 0.95
# Resamples that are measured at once; bounds the memory, and changes no result.
RESAMPLES_AT_ONCE = 50


def wilson(num_hits: int, num_trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share, which holds near 0 and 1 too.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22, pages 209 to 212.
    """
    from scipy.stats import binomtest

    interval = binomtest(num_hits, num_trials).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap(
    measure: Callable[[Floats], Metrics], num_records: int, num_samples: int, seed: list[int]
) -> dict[str, Interval]:
    """Return the 95 % percentile interval of each metric over resamples of the records.

    Efron 1979, "Bootstrap methods: another look at the jackknife", The Annals of Statistics 7;
    percentile intervals: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.

    Args:
        measure: gives each metric, S, from how often each record was drawn, S N.
        num_records: how many test records there are.
        num_samples: how many resamples are drawn, with replacement.
        seed: fixes the resamples.

    Returns:
        An interval a metric; None for one that no resample defines.
    """
    batches = [measure(counts) for counts in resamples(num_records, num_samples, seed)]
    return {name: _percentiles(np.concatenate([b[name] for b in batches])) for name in batches[0]}


def resamples(num_records: int, num_samples: int, seed: list[int]) -> Iterator[Floats]:
    """Yield batches of resamples, S N: how often each record was drawn, one row a resample.

    Args:
        num_records: N, of which each resample draws as many, with replacement.
        num_samples: how many resamples there are in all batches together.
        seed: fixes them.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, num_samples, RESAMPLES_AT_ONCE):
        size = min(RESAMPLES_AT_ONCE, num_samples - start)
        drawn = generator.integers(num_records, size=(size, num_records))
        drawn += np.arange(size)[:, None] * num_records
        counts = np.bincount(drawn.ravel(), minlength=size * num_records)
        yield counts.reshape(size, num_records).astype(float)


def over_repeats(values: Floats) -> Interval:
    """Return the 95 % interval of a mean over repeats of a training and over test records.

    Both are samples: other seeds and other records would give another mean. Each side of the table
    has an interval of its own (Student's, since there are few repeats); squared, their reaches add
    up (Graybill and Wang 1980, "Confidence intervals on nonnegative linear combinations of
    variances", Journal of the American Statistical Association 75, pages 869 to 873). What both
    sides count, a repeat's own luck with a record, makes it a little too wide.

    Args:
        values: of each repeat on each record, R N.

    Returns:
        None where there is one repeat or one record alone.
    """
    from scipy.stats import t

    if min(values.shape) < 2:
        return None
    sides, sizes = (values.mean(axis=1), values.mean(axis=0)), np.array(values.shape)
    errors = np.array([side.std(ddof=1) for side in sides]) / np.sqrt(sizes)
    reach = float(np.linalg.norm(t.ppf((1 + LEVEL) / 2, sizes - 1) * errors))
    mean = float(values.mean())
    return mean - reach, mean + reach


def _percentiles(values: Floats) -> Interval:
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
