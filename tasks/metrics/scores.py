"""The metrics, each a function of how often every test record counts.

Dimensions: S resamples of the test records, N test records, K classes, B calibration bins, G
groups of records with equal score, P records of one class.

A point estimate counts every record once; a bootstrap resample counts each as often as it was
drawn. Both go through the same code, all resamples at once, so that an interval always belongs to
the number beside it. ``counts`` is S N everywhere, and every metric is S.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DIGITS = 6


@dataclass(frozen=True)
class Answers:
    """Which class a classifier gives to each test record, and which is the true one.

    Classes are positions in the model's list of labels. Both arrays are N.
    """

    true: Ints
    predicted: Ints

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each record got its true class, N."""
        return self.true == self.predicted


@dataclass(frozen=True)
class Scored(Answers):
    """Answers with the probability of each class, N K."""

    scores: Floats

    @property
    def confidence(self) -> Floats:
        """The probability of the predicted class, N."""
        chosen: Floats = self.scores[np.arange(len(self.predicted)), self.predicted]
        return chosen


def rounded(value: float) -> float:
    """Return a figure with the digits that files keep."""
    # Adding 0.0 turns -0.0 into 0.0.
    return round(float(value), DIGITS) + 0.0


def mean_and_deviation(each: npt.ArrayLike) -> dict[str, Any]:
    """Return ``mean``, sample ``deviation`` and ``each`` of a figure of several trainings."""
    values = np.asarray(each, dtype=float)
    return {
        "mean": rounded(values.mean()),
        "deviation": rounded(values.std(ddof=1)),
        "each": [rounded(value) for value in values],
    }


def once_each(num_records: int) -> Floats:
    """Return the counts of the test records as they are: one row of ones."""
    return np.ones((1, num_records))


def accuracy(counts: Floats, answers: Answers) -> Floats:
    """Return the share of records whose predicted class is the true one."""
    share: Floats = counts @ answers.correct.astype(float) / counts.sum(axis=1)
    return share


def macro_scores(counts: Floats, answers: Answers, num_classes: int) -> dict[str, Floats]:
    """Return macro precision, recall and F1, S each.

    The mean is over the classes that occur among the true or the predicted ones, as scikit-learn
    takes it; a class that is never predicted has precision 0. F1 is the mean of the classes' F1,
    which Opitz and Burst 2019, "Macro F1 and Macro F1", tell from the F1 of the means.

    Args:
        counts: how often each record counts, S N.
        answers: the classes of N records.
        num_classes: K.
    """
    classes = np.arange(num_classes)
    is_true = (answers.true[:, None] == classes).astype(float)  # N K, as the next
    is_predicted = (answers.predicted[:, None] == classes).astype(float)
    hits = counts @ (is_true * is_predicted)  # S K, as the next two
    num_true, num_predicted = counts @ is_true, counts @ is_predicted
    num_present = ((num_true + num_predicted) > 0).sum(axis=1)
    return {
        "macro_precision": _ratio(hits, num_predicted).sum(axis=1) / num_present,
        "macro_recall": _ratio(hits, num_true).sum(axis=1) / num_present,
        "macro_f1": _ratio(2 * hits, num_true + num_predicted).sum(axis=1) / num_present,
    }


def _ratio(part: Floats, whole: Floats, where_empty: float = 0.0) -> Floats:
    return np.divide(part, whole, out=np.full(part.shape, where_empty), where=whole > 0)


def roc_auc(counts: Floats, scored: Scored) -> Floats:
    """Return the area under the ROC curve, one class against the rest, mean over the classes, S.

    Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, pages 29 to 36: the area is the Mann-Whitney
    statistic.

    A class that all records or none have is left out; NaN where that leaves no class.
    """
    areas = np.stack(
        [
            _area(counts, scored.true == number, scored.scores[:, number])
            for number in np.unique(scored.true)
        ]
    )
    num_defined = np.isfinite(areas).sum(axis=0).astype(float)
    return _ratio(np.nansum(areas, axis=0), num_defined, where_empty=np.nan)


def _area(counts: Floats, is_class: npt.NDArray[np.bool_], scores: Floats) -> Floats:
    # The Mann-Whitney form: the share of (member, other) pairs that the score puts into the right
    # order, a tie counting one half. Records of equal score are one group.
    order = np.argsort(scores, kind="stable")
    begins_group = np.diff(scores[order], prepend=-np.inf) > 0
    is_class = is_class[order]
    others = np.add.reduceat(
        counts[:, order] * ~is_class, np.flatnonzero(begins_group), axis=1
    )  # S G
    below = np.cumsum(others, axis=1) - others / 2  # S G
    members = counts[:, order[is_class]]  # S P
    group = np.cumsum(begins_group) - 1
    num_right = (members * below[:, group[is_class]]).sum(axis=1)
    return _ratio(num_right, members.sum(axis=1) * others.sum(axis=1), where_empty=np.nan)


def expected_calibration_error(counts: Floats, scored: Scored, num_bins: int) -> Floats:
    """Return how far confidence is from accuracy, on average, S.

    Records are put into bins of equal width by the probability of their predicted class.

    Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks", ICML; after
    Naeini, Cooper and Hauskrecht 2015, "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI.

    Args:
        counts: how often each record counts, S N.
        scored: N records.
        num_bins: B, of equal width in [0, 1].
    """
    in_bin = calibration_bin(scored, num_bins)[:, None] == np.arange(num_bins)  # N B
    surprise = scored.correct - scored.confidence  # N
    gap: Floats = np.abs(counts @ (in_bin * surprise[:, None])).sum(axis=1)
    return gap / counts.sum(axis=1)


def calibration_bin(scored: Scored, num_bins: int) -> Ints:
    """Return the bin of each record, N. A bin holds its upper edge, not its lower one."""
    bins = np.ceil(scored.confidence * num_bins).astype(np.int64) - 1
    return np.clip(bins, 0, num_bins - 1)


def confusion(answers: Answers, num_classes: int) -> Ints:
    """Count the records by true class (row) and predicted class (column), K K."""
    pairs = answers.true * num_classes + answers.predicted
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
