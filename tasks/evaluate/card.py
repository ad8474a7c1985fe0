"""The model card: what a reviewer needs to decide stands on the first screen."""

import numpy as np

from tasks.evaluate.card_headline import FEW_RECORDS, UNDEFINED, headline, share
from tasks.evaluate.evaluation import Evaluation, Figures, slice_results
from tasks.evaluate.folds import folds_section
from tasks.evaluate.settings import Settings
from tasks.metrics.scores import confusion
from tasks.reports.markdown import escape, table

METRICS = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC, one class against the rest",
    "ece": "expected calibration error",
}


def model_card(evaluation: Evaluation, settings: Settings, examples: str = "") -> str:
    """Return the card as Markdown; equal results give equal text.

    Args:
        evaluation: what is known about the model.
        settings: how it was measured.
        examples: the section of explained records, if there is one.
    """
    parts = [before_examples(evaluation, settings), examples, after_examples(evaluation, settings)]
    return "\n\n".join(part for part in parts if part) + "\n"


def before_examples(evaluation: Evaluation, settings: Settings) -> str:
    """Return the sections on how good the model is, what decides first."""
    return "\n\n".join(
        [
            headline(evaluation, settings),
            _figures(evaluation.figures["model"]),
            _confusions(evaluation, settings.shown_confusions),
            _classes(evaluation),
            _slices(evaluation),
        ]
    )


def after_examples(evaluation: Evaluation, settings: Settings) -> str:
    """Return the sections on calibration, data and limits."""
    return "\n\n".join(
        [
            _calibration(evaluation, settings.calibration_bins),
            "## ROC curves\n\n![ROC curve of each class](plots/roc.png)",
            folds_section(evaluation.folds),
            _data(evaluation),
            _limits(evaluation),
        ]
    )


def _figures(figures: Figures) -> str:
    rows = []
    for key, name in METRICS.items():
        value, interval = figures.values[key], figures.intervals[key]
        if value is None or interval is None:
            rows.append([name, UNDEFINED, ""])
        else:
            rows.append([name, f"{value:.4f}", f"{interval[0]:.4f} to {interval[1]:.4f}"])
    return "## Figures\n\n" + table(["metric", "value", "95 % interval"], rows)


def _confusions(evaluation: Evaluation, num_shown: int) -> str:
    labels = evaluation.labels
    counts = confusion(evaluation.model, len(labels))
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[: min(num_shown, np.count_nonzero(wrong))]
    rows = []
    for true, predicted in (divmod(int(flat), len(labels)) for flat in order):
        share = 100 * wrong[true, predicted] / counts[true].sum()
        names = [escape(labels[true]), escape(labels[predicted])]
        rows.append([*names, f"{wrong[true, predicted]:,}", f"{share:.1f}"])
    shown = f"\n\nThe {len(rows)} most frequent confusions:\n\n" if rows else ""
    shown += table(["true", "predicted", "records", "% of the true class"], rows) if rows else ""
    return (
        f"## Where it is wrong\n\n{wrong.sum():,} of {evaluation.num_test:,} test records are put "
        f"into a wrong class.{shown}\n\n![Confusion matrix](plots/confusion.png)"
    )


def _classes(evaluation: Evaluation) -> str:
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(
        evaluation.model.true,
        evaluation.model.predicted,
        labels=range(len(evaluation.labels)),
        zero_division=0,
    )
    recalls = {one["name"]: one for one in slice_results(evaluation) if one["kind"] == "class"}
    rows = []
    for number, (label, precision, _, f1, support) in enumerate(
        zip(evaluation.labels, *columns, strict=True), start=1
    ):
        recall = share(recalls[label]) if label in recalls else UNDEFINED
        shares = [f"{100 * precision:.1f}", recall, f"{100 * f1:.1f}"]
        rows.append([str(number), escape(label), *shares, f"{int(support):,}"])
    header = ["#", "class", "precision, %", "recall, % (95 % interval)", "F1, %", "test records"]
    return "## By class\n\n" + table(header, rows)


def _slices(evaluation: Evaluation) -> str:
    rows = [
        [escape(one["name"]), share(one), f"{one['records']:,}"]
        for one in slice_results(evaluation)
        if one["kind"] != "class"
    ]
    header = ["thirds of the test records", "accuracy, % (95 % interval)", "test records"]
    return "## By content\n\n" + table(header, rows)


def _calibration(evaluation: Evaluation, num_bins: int) -> str:
    confidence = 100 * float(evaluation.model.confidence.mean())
    accuracy = 100 * float(evaluation.model.correct.mean())
    manner = "over" if confidence > accuracy else "under"
    return (
        f"## Calibration\n\nMean confidence is {confidence:.1f} %, accuracy {accuracy:.1f} %: on "
        f"the whole the model is {manner}confident by {abs(confidence - accuracy):.1f} points. The "
        f"expected calibration error, over {num_bins} bins of equal width, is "
        f"{evaluation.figures['model'].values['ece']:.4f}.\n\n"
        "![Reliability diagram](plots/reliability.png)"
    )


def _data(evaluation: Evaluation) -> str:
    rows = [[part, f"{size:,}"] for part, size in evaluation.split_sizes.items()]
    unlabelled = (
        f"{evaluation.num_unlabelled:,} test records have no label; they are left out of every "
        "figure here.\n\n"
        if evaluation.num_unlabelled
        else ""
    )
    return (
        f"## Data\n\nCorpus `{evaluation.corpus}`:\n\n{table(['split', 'records'], rows)}\n\n"
        f"{unlabelled}The weights were fitted on {evaluation.num_trained:,} records of the "
        "train split, those of the twin and of the linear baseline on the same ones, and chosen on "
        "the validation split; no stage before this one has used the test split for either."
    )


def _limits(evaluation: Evaluation) -> str:
    others = "languages" if evaluation.modality == "text" else "cameras"
    limits = [
        "It always answers with one of its classes; it has no answer for what belongs to none.",
        "The figures hold for records like those of the test split. Other sources, times and "
        f"{others} were not tested.",
        "A score is a probability only as far as the calibration above goes.",
    ]
    sizes = np.bincount(evaluation.model.true, minlength=len(evaluation.labels))
    few = [
        f"{escape(label)} ({size})"
        for label, size in zip(evaluation.labels, sizes, strict=True)
        if size < FEW_RECORDS
    ]
    if few:
        limits.append(
            f"Classes with fewer than {FEW_RECORDS} test records are hardly measured: "
            f"{', '.join(few)}."
        )
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits)
