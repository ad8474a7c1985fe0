"""Candidate and champion on the same test records: how they differ, and how sure that is.

``schema`` describes the result. It is a function of its arguments alone: equal predictions give an
equal comparison.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.contracts.files import rounded
from tasks.errors import BadInput
from tasks.metrics import scores
from tasks.metrics.intervals import bootstrap
from tasks.metrics.predictions import Labelled, Predictions
from tasks.metrics.scores import Floats, Ints, Scored
from tasks.metrics.significance import holm, mcnemar_exact, tango
from tasks.metrics.slices import Slice, slices_of
from tasks.promotion.comparison.schema import (
    Bin,
    Comparison,
    Disagreement,
    Flip,
    Flipped,
    Metric,
    Serving,
    SliceChange,
    SliceVerdict,
    Verdict,
)
from tasks.promotion.settings import PromotionSettings
from tasks.reports.drawing import thumbnail

CALIBRATION_BINS = 15
EXCERPT_CHARACTERS = 280


@dataclass(frozen=True)
class Side:
    """One of the two models."""

    name: str
    """How a reviewer knows it, for example ``version 3``."""
    predictions: Predictions
    serving: Serving | None = None


def compare(
    model: str,
    candidate: Side,
    champion: Side,
    test: Labelled,
    settings: PromotionSettings,
    missed_gates: Sequence[str] = (),
) -> Comparison:
    """Compare two models on the test records that both have scored.

    Args:
        model: the row of ``params.yaml``.
        candidate: the model that may take the champion's place.
        champion: the one that serves today.
        test: the test records, as ``read_labelled`` reads them.
        settings: level of significance, resamples, least size of a slice.
        missed_gates: the gates that the candidate misses, one sentence each.

    Raises:
        BadInput: the predictions are not of these records.
    """
    for side in (candidate, champion):
        _check_same_records(model, side, test)
    labels, ours, theirs = aligned(candidate.predictions, champion.predictions)
    slices = slices_of(ours.true, labels, test.modality, test.contents)
    alpha, least = settings.review.alpha, settings.slices.minimum_records
    disagreement = disagree(ours, theirs, alpha)
    comparison: Comparison = {
        "schema": 1,
        "model": model,
        "candidate": candidate.name,
        "champion": champion.name,
        "modality": test.modality,
        "records": len(test.ids),
        "alpha": alpha,
        "verdict": _verdict(disagreement, alpha),
        "metrics": metric_changes(ours, theirs, len(labels), settings.review.bootstrap_samples),
        "disagreement": disagreement,
        "minimum_records": least,
        "slices": slice_changes(ours, theirs, slices, alpha, least),
        "calibration": {
            "num_bins": CALIBRATION_BINS,
            "candidate": calibration_bins(ours),
            "champion": calibration_bins(theirs),
        },
        "flipped": flipped(ours, theirs, labels, test, settings.review.shown_examples),
        "serving": {"candidate": candidate.serving, "champion": champion.serving},
        "missed_gates": list(missed_gates),
    }
    result: Comparison = rounded(comparison)
    return result


def _check_same_records(model: str, side: Side, test: Labelled) -> None:
    predictions = side.predictions
    ids = predictions.ids
    if ids != test.ids:
        missing = len(set(test.ids) - set(ids))
        raise BadInput(
            f"{model}: {side.name} was scored on other test records ({len(ids)} of them; "
            f"{missing} of today's {len(test.ids)} are missing or moved): score it again"
        )
    if [predictions.labels[number] for number in predictions.scored.true] != test.labels:
        raise BadInput(
            f"{model}: the labels of the test records have changed since {side.name} was scored: "
            "score it again"
        )


def aligned(candidate: Predictions, champion: Predictions) -> tuple[list[str], Scored, Scored]:
    """Return the classes of both models together, and both in terms of them."""
    labels = [*candidate.labels, *(x for x in champion.labels if x not in candidate.labels)]
    return labels, _in_terms_of(labels, candidate), _in_terms_of(labels, champion)


def _in_terms_of(labels: list[str], predictions: Predictions) -> Scored:
    indices = np.array([labels.index(label) for label in predictions.labels], dtype=np.int64)
    scored = predictions.scored
    wider = np.zeros((len(scored.true), len(labels)))
    wider[:, indices] = scored.scores
    return Scored(indices[scored.true], indices[scored.predicted], wider)


def _verdict(disagreement: Disagreement, alpha: float) -> Verdict:
    if disagreement["p_value"] >= alpha:
        return "no significant difference"
    ahead = disagreement["only_candidate_right"] > disagreement["only_champion_right"]
    return "better" if ahead else "worse"


def metric_changes(
    candidate: Scored, champion: Scored, num_classes: int, num_samples: int
) -> list[Metric]:
    """Return accuracy, macro F1 and calibration error of both, on the same resamples.

    Args:
        candidate: what it says about the test records.
        champion: the same of the other.
        num_classes: how many classes the two know together.
        num_samples: resamples behind each interval.
    """

    def measure(counts: Floats) -> dict[str, Floats]:
        measured = {}
        for who, scored in (("candidate", candidate), ("champion", champion)):
            macro_f1 = scores.macro_scores(counts, scored, num_classes)["macro_f1"]
            ece = scores.expected_calibration_error(counts, scored, CALIBRATION_BINS)
            measured[f"{who}/accuracy"] = scores.accuracy(counts, scored)
            measured[f"{who}/macro_f1"], measured[f"{who}/ece"] = macro_f1, ece
        for name in ("accuracy", "macro_f1", "ece"):
            measured[name] = measured[f"candidate/{name}"] - measured[f"champion/{name}"]
        return measured

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
    """Count on which records the two agree, and test the difference in accuracy.

    Args:
        candidate: what it says about the test records.
        champion: the same of the other.
        alpha: one less the level of the interval.
    """
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
    """Test every slice of enough records; Holm's correction goes over all that are tested.

    Args:
        candidate: what it says about the test records.
        champion: the same of the other.
        slices: groups of these records.
        alpha: level of significance.
        least: records that a slice must have to be tested.
    """
    members = np.array([group.members for group in slices], dtype=float)
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
            "kind": group.kind,
            "name": group.name,
            "records": int(sizes[n]),
            "candidate": float(ours[n] / sizes[n]),
            "champion": float(theirs[n] / sizes[n]),
            "difference": float((ours[n] - theirs[n]) / sizes[n]),
            "interval": list(tango(int(won[n]), int(lost[n]), int(sizes[n]), 1 - alpha)),
            "p_value": float(p_values[n]) if tested[n] else None,
            "adjusted_p_value": float(adjusted[n]) if tested[n] else None,
            "verdict": _slice_verdict(bool(tested[n]), adjusted[n] < alpha, bool(won[n] > lost[n])),
        }
        for n, group in enumerate(slices)
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


def flipped(
    candidate: Scored, champion: Scored, labels: list[str], test: Labelled, num_shown: int
) -> Flipped:
    """Return the flips in which the candidate is most confident, in each direction.

    Args:
        candidate: what it says about the test records.
        champion: the same of the other.
        labels: the classes of both.
        test: the records.
        num_shown: how many in each direction, at most.
    """
    won = np.flatnonzero(candidate.correct & ~champion.correct)
    lost = np.flatnonzero(champion.correct & ~candidate.correct)

    def most_confident(records: Ints) -> list[Flip]:
        order = np.argsort(-candidate.confidence[records], kind="stable")[:num_shown]
        return [_flip(candidate, champion, labels, test, int(n)) for n in records[order]]

    return {"won": most_confident(won), "lost": most_confident(lost)}


def _flip(
    candidate: Scored, champion: Scored, labels: list[str], test: Labelled, record: int
) -> Flip:
    flip: Flip = {
        "id": test.ids[record],
        "label": test.labels[record],
        "candidate": labels[candidate.predicted[record]],
        "champion": labels[champion.predicted[record]],
        "candidate_confidence": float(candidate.confidence[record]),
        "champion_confidence": float(champion.confidence[record]),
    }
    if test.modality == "text":
        flip["excerpt"] = excerpt(test.contents[record])
    else:
        flip["thumbnail"] = base64.b64encode(thumbnail(test.contents[record])).decode()
    return flip


def excerpt(text: str) -> str:
    """Return the beginning of a text, on one line, cut between words."""
    plain = " ".join(text.split())
    if len(plain) <= EXCERPT_CHARACTERS:
        return plain
    kept = plain[:EXCERPT_CHARACTERS]
    return f"{kept.rpartition(' ')[0] or kept} …"
