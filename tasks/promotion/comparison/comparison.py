"""Candidate and champion on the same test records: how they differ, and how sure that is.

``schema`` describes the result. It is a function of its arguments alone: equal predictions give an
equal comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.contracts.files import rounded
from tasks.errors import BadInput
from tasks.metrics.predictions import Labelled, Predictions
from tasks.metrics.scores import Scored
from tasks.metrics.slices import slices_of
from tasks.promotion.comparison.changes import (
    CALIBRATION_BINS,
    calibration_bins,
    disagree,
    metric_changes,
    slice_changes,
)
from tasks.promotion.comparison.examples import flipped
from tasks.promotion.comparison.schema import (
    Calibration,
    Comparison,
    Disagreement,
    Serving,
    Verdict,
)
from tasks.promotion.settings import PromotionSettings


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
    found: Comparison = {
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
        "calibration": _calibration(ours, theirs),
        "flipped": flipped(ours, theirs, labels, test, settings.review.shown_examples),
        "serving": {"candidate": candidate.serving, "champion": champion.serving},
        "missed_gates": list(missed_gates),
    }
    result: Comparison = rounded(found)
    return result


def _check_same_records(model: str, side: Side, test: Labelled) -> None:
    found, predictions = side.predictions.ids, side.predictions
    if found != test.ids:
        missing = len(set(test.ids) - set(found))
        raise BadInput(
            f"{model}: {side.name} was scored on other test records ({len(found)} of them; "
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
    place = np.array([labels.index(label) for label in predictions.labels], dtype=np.int64)
    scored = predictions.scored
    wider = np.zeros((len(scored.true), len(labels)))
    wider[:, place] = scored.scores
    return Scored(place[scored.true], place[scored.predicted], wider)


def _verdict(disagreement: Disagreement, alpha: float) -> Verdict:
    if disagreement["p_value"] >= alpha:
        return "no significant difference"
    ahead = disagreement["only_candidate_right"] > disagreement["only_champion_right"]
    return "better" if ahead else "worse"


def _calibration(candidate: Scored, champion: Scored) -> Calibration:
    return {
        "num_bins": CALIBRATION_BINS,
        "candidate": calibration_bins(candidate),
        "champion": calibration_bins(champion),
    }
