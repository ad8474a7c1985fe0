"""How two models differ on the same records: overall, in each slice, and in their confidence."""

from collections.abc import Sequence

import numpy as np

from tasks.metrics import scores
from tasks.metrics.intervals import bootstrap
from tasks.metrics.scores import Floats, Scored
from tasks.metrics.significance import holm, mcnemar_exact, tango
from tasks.metrics.slices import Slice
from tasks.promotion.comparison.schema import Bin, Disagreement, Metric, SliceChange, SliceVerdict

CALIBRATION_BINS = 15


def metric_changes(
    candidate: Scored, champion: Scored, num_classes: int, num_samples: int
) -> list[Metric]:
    """Return accuracy, macro F1 and calibration error of both, on the same resamples."""

    def measure(counts: Floats) -> dict[str, Floats]:
        found = {}
        for who, scored in (("candidate", candidate), ("champion", champion)):
            found[f"{who}/accuracy"] = scores.accuracy(counts, scored)
            found[f"{who}/macro_f1"] = scores.macro_scores(counts, scored, num_classes)["macro_f1"]
            found[f"{who}/ece"] = scores.expected_calibration_error(
                counts, scored, CALIBRATION_BINS
            )
        for name in ("accuracy", "macro_f1", "ece"):
            found[name] = found[f"candidate/{name}"] - found[f"champion/{name}"]
        return found

    num_records = len(candidate.true)
    values = {name: float(v[0]) for name, v in measure(scores.once_each(num_records)).items()}
    # A fixed seed: the same predictions give the same page, whoever asks.
    intervals = bootstrap(measure, num_records, num_samples, [0])
    return [
        {
            "name": name,
            "candidate": values[f"candidate/{name}"],
            "champion": values[f"champion/{name}"],
            "difference": values[name],
            "interval": list(intervals[name] or ()),
        }
        for name in ("accuracy", "macro_f1", "ece")
    ]


def disagree(candidate: Scored, champion: Scored, alpha: float) -> Disagreement:
    """Count on which records the two agree, and test the difference in accuracy."""
    won = int((candidate.correct & ~champion.correct).sum())
    lost = int((champion.correct & ~candidate.correct).sum())
    both = int((candidate.correct & champion.correct).sum())
    num_records = len(candidate.true)
    return {
        "both_right": both,
        "only_candidate_right": won,
        "only_champion_right": lost,
        "both_wrong": num_records - both - won - lost,
        "p_value": float(mcnemar_exact(won, lost)),
        "score_interval": list(tango(won, lost, num_records, 1 - alpha)),
    }


def slice_changes(
    candidate: Scored, champion: Scored, slices: Sequence[Slice], alpha: float, least: int
) -> list[SliceChange]:
    """Test every slice of enough records; Holm's correction goes over all that are tested."""
    members = np.array([one.members for one in slices], dtype=float)
    sizes = members.sum(axis=1).astype(int)
    ours, theirs = members @ candidate.correct, members @ champion.correct
    won = (members @ (candidate.correct & ~champion.correct)).astype(int)
    lost = (members @ (champion.correct & ~candidate.correct)).astype(int)
    tested = sizes >= least
    p_values = mcnemar_exact(won, lost)
    adjusted = np.ones(len(slices))
    adjusted[tested] = holm(p_values[tested])
    return [
        {
            "kind": one.kind,
            "name": one.name,
            "records": int(sizes[n]),
            "candidate": float(ours[n] / sizes[n]),
            "champion": float(theirs[n] / sizes[n]),
            "difference": float((ours[n] - theirs[n]) / sizes[n]),
            "interval": list(tango(int(won[n]), int(lost[n]), int(sizes[n]), 1 - alpha)),
            "p_value": float(p_values[n]) if tested[n] else None,
            "adjusted_p_value": float(adjusted[n]) if tested[n] else None,
            "verdict": _slice_verdict(bool(tested[n]), adjusted[n] < alpha, bool(won[n] > lost[n])),
        }
        for n, one in enumerate(slices)
    ]


def _slice_verdict(tested: bool, significant: bool, ahead: bool) -> SliceVerdict:
    if not tested:
        return "too few records"
    if not significant:
        return "no significant change"
    return "better" if ahead else "worse"


def calibration_bins(scored: Scored) -> list[Bin]:
    """Return the filled bins of a model's reliability diagram."""
    bins = scores.calibration_bin(scored, CALIBRATION_BINS)
    return [
        {
            "records": int((bins == number).sum()),
            "confidence": float(scored.confidence[bins == number].mean()),
            "accuracy": float(scored.correct[bins == number].mean()),
        }
        for number in np.unique(bins)
    ]
