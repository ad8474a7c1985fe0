"""Tests and intervals for two classifiers on the same records.

Only the records that the two disagree on speak about their difference: ``num_won`` are right with
the candidate alone, ``num_lost`` with the champion alone.
"""

import math

import numpy as np
import numpy.typing as npt

from tasks.metrics.scores import Floats


def mcnemar_exact(num_won: npt.ArrayLike, num_lost: npt.ArrayLike) -> Floats:
    """Return the two-sided p-value of McNemar's test, conditional on the number of disagreements.

    If both models are equally good, each disagreement is a fair coin. The exact form never rejects
    too often, however few disagreements there are.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12, pages 153 to 157. Checked against Fagerland, Lydersen and Laake
    2013, "The McNemar test for binary matched-pairs data", BMC Medical Research Methodology 13:91,
    tables 1 and 2.

    Args:
        num_won: records that the candidate alone gets right: a number, or one a comparison.
        num_lost: those that the champion alone gets right, in the same shape.

    Returns:
        The p-value, or one a comparison.
    """
    from scipy.stats import binom

    won, lost = np.asarray(num_won), np.asarray(num_lost)
    p_values: Floats = np.minimum(2 * binom.cdf(np.minimum(won, lost), won + lost, 0.5), 1.0)
    return p_values


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return the p-values adjusted for their number by Holm's step-down method.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, pages 65 to 70.

    Rejecting where an adjusted value is below alpha keeps the chance of any false rejection below
    alpha, whatever the dependence between the tests.
    """
    raw = np.asarray(p_values, dtype=float)
    order = np.argsort(raw, kind="stable")
    stepped = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def tango(num_won: int, num_lost: int, num_records: int, level: float) -> tuple[float, float]:
    """Return Tango's score interval for the difference of two paired shares.

    It holds where the usual intervals fail: few disagreements, or none. Its lower limit above
    ``-margin`` is Tango's test of non-inferiority.

    Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, pages 891 to 908. Checked against its example,
    and against those of Fagerland, Lydersen and Laake 2017, "Statistical Analysis of Contingency
    Tables", chapter 8.

    Args:
        num_won: records that the candidate alone gets right.
        num_lost: those that the champion alone gets right.
        num_records: all of them, at least one.
        level: of the interval, for example 0.95.

    Returns:
        The limits of (share right with the candidate) - (share right with the champion).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf((1 + level) / 2))
    observed = (num_won - num_lost) / num_records

    def excess(difference: float, limit: float) -> float:
        return tango_statistic(num_won, num_lost, num_records, difference) - limit

    low = brentq(excess, -1, observed, args=(z,), xtol=1e-12) if observed > -1 else -1.0
    high = brentq(excess, observed, 1, args=(-z,), xtol=1e-12) if observed < 1 else 1.0
    return float(low), float(high)


def tango_statistic(num_won: int, num_lost: int, num_records: int, difference: float) -> float:
    """Return the score statistic (asymptotically normal) for a supposed true difference.

    The chance of a lost record is its maximum-likelihood estimate under that difference: the larger
    root of a quadratic equation.

    Args:
        num_won: records that the candidate alone gets right.
        num_lost: those that the champion alone gets right.
        num_records: all of them, at least one.
        difference: of the shares that are right, candidate less champion, in [-1, 1].
    """
    n = num_records
    gap = num_won - num_lost - n * difference
    if abs(gap) < 1e-12 * n:
        return 0.0
    b = (2 * n - num_won + num_lost) * difference - num_won - num_lost
    c = -num_lost * difference * (1 - difference)
    lost = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * lost + difference * (1 - difference))
    return gap / math.sqrt(variance) if variance > 0 else math.copysign(1e9, gap)
