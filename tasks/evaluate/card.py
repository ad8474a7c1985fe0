"""The model card: what a reviewer needs to decide stands on the first screen.

``card.md.j2`` is its text, ``card.html.j2`` the same as one page, its plots inside.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.evaluate.attributions import Example
from tasks.evaluate.evaluation import Evaluation, against_baselines, slice_results
from tasks.evaluate.settings import Settings
from tasks.metrics.scores import Ints, confusion
from tasks.metrics.slices import FEW_RECORDS, SliceResult, weakest_slice
from tasks.reports.page import render

METRICS = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC, one class against the rest",
    "ece": "expected calibration error",
}

Examples = Mapping[str, Sequence[Example]]
"""Explained records, by ``wrong`` and ``right``; empty where none are to be shown."""


def model_card(evaluation: Evaluation, settings: Settings, examples: Examples) -> str:
    """Return the card as Markdown; equal results give equal text.

    Args:
        evaluation: what is known about the model.
        settings: how it was measured.
        examples: the explained records.
    """
    return render("tasks/evaluate/card.md.j2", **_values(evaluation, settings, examples))


def card_page(evaluation: Evaluation, settings: Settings, examples: Examples, folder: Path) -> str:
    """Return the card as HTML in one file.

    Args:
        evaluation: what is known about the model.
        settings: how it was measured.
        examples: the explained records.
        folder: where ``plots/`` lies.
    """
    values = _values(evaluation, settings, examples)
    return render("tasks/evaluate/card.html.j2", folder=folder, **values)


def _values(evaluation: Evaluation, settings: Settings, examples: Examples) -> dict[str, Any]:
    """Return what the templates name."""
    slices = slice_results(evaluation)
    recalls = {result["name"]: result for result in slices if result["kind"] == "class"}
    counts = confusion(evaluation.model, len(evaluation.labels))
    wrong = counts - np.diag(np.diag(counts))
    return {
        "evaluation": evaluation,
        "settings": settings,
        "examples": examples,
        "metric_names": METRICS,
        "few_records": FEW_RECORDS,
        "against": against_baselines(evaluation),
        "slices": slices,
        "weakest": weakest_slice(slices),
        "num_wrong": wrong.sum(),
        "confusions": _confusions(evaluation.labels, counts, wrong, settings.shown_confusions),
        "classes": _classes(evaluation, recalls),
        "confidence": 100 * float(evaluation.model.confidence.mean()),
        "accuracy": 100 * float(evaluation.model.correct.mean()),
    }


def _confusions(
    labels: list[str], counts: Ints, wrong: Ints, num_shown: int
) -> list[tuple[str, str, int, float]]:
    """Return the most frequent confusions: true, predicted, records, % of the true class."""
    order = np.argsort(-wrong, axis=None, kind="stable")[: min(num_shown, np.count_nonzero(wrong))]
    pairs = [divmod(int(flat), len(labels)) for flat in order]
    return [
        (
            labels[true],
            labels[predicted],
            int(wrong[true, predicted]),
            100 * wrong[true, predicted] / counts[true].sum(),
        )
        for true, predicted in pairs
    ]


def _classes(evaluation: Evaluation, recalls: Mapping[str, SliceResult]) -> list[tuple[Any, ...]]:
    """Return for each class: label, precision, recall (None without a record), F1, records."""
    from sklearn.metrics import precision_recall_fscore_support

    precision, _, f1, num_records = precision_recall_fscore_support(
        evaluation.model.true,
        evaluation.model.predicted,
        labels=range(len(evaluation.labels)),
        zero_division=0,
    )
    recall = [recalls.get(label) for label in evaluation.labels]
    sizes = [int(number) for number in num_records]
    return list(zip(evaluation.labels, precision, recall, f1, sizes, strict=True))
