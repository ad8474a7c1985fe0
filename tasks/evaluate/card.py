"""The model card: what a reviewer needs to decide stands on the first screen."""

import numpy as np

from tasks.evaluate.evaluation import Evaluation, Figures
from tasks.evaluate.markdown import escape, table
from tasks.evaluate.scores import confusion
from tasks.evaluate.settings import Settings

RIVALS = {
    "model": "this model",
    "twin": "its twin, from random weights",
    "linear": "linear baseline",
}
LINEAR = {
    "text": "TF-IDF and a linear support vector machine",
    "image": "logistic regression on pixels",
}
METRICS = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC, one class against the rest",
    "ece": "expected calibration error",
}
FEW_RECORDS = 30
UNDEFINED = "not defined"


def model_card(evaluation: Evaluation, settings: Settings) -> str:
    """Return the card as Markdown; equal results give equal text."""
    sections = [
        _headline(evaluation),
        _figures(evaluation.figures["model"]),
        _confusions(evaluation, settings.shown_confusions),
        _classes(evaluation),
        _calibration(evaluation, settings.calibration_bins),
        "## ROC curves\n\n![ROC curve of each class](plots/roc.png)",
        _data(evaluation),
        _use(evaluation),
        _limits(evaluation),
    ]
    return "\n\n".join(sections) + "\n"


def _headline(evaluation: Evaluation) -> str:
    figures = evaluation.figures
    rows = [
        [name, _percent(figures[key], "accuracy"), _percent(figures[key], "macro_f1")]
        for key, name in RIVALS.items()
        if key in figures
    ]
    return "\n\n".join(
        [
            f"# {escape(evaluation.name)}",
            f"Sorts {evaluation.modality}s into {len(evaluation.labels)} classes. "
            f"**Accuracy {_percent(figures['model'], 'accuracy')} %** on {evaluation.num_test:,} "
            f"test records of the corpus `{evaluation.corpus}`. {_gain(figures['model'])}",
            table(["", "accuracy, %", "macro F1, %"], rows),
            "In brackets: 95 % intervals (Wilson for accuracy, bootstrap over the test records for "
            "the rest). The twin has the same architecture, records, order and budget, and no "
            f"pretraining. The linear baseline, {LINEAR[evaluation.modality]}, saw the same "
            "records and labels.",
        ]
    )


def _gain(figures: Figures) -> str:
    gain, interval = figures.values.get("gain"), figures.intervals.get("gain")
    if gain is None or interval is None:
        return "No twin was trained, so what pretraining gains is not known."
    low, high = interval
    points = f"{100 * gain:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
    if low <= 0 <= high:
        return f"Pretraining makes no difference that these records can show: {points}."
    return f"Pretraining {'gains' if gain > 0 else '**costs accuracy**:'} {points}."


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
    rows = [
        [str(number), escape(label), *(f"{share:.3f}" for share in shares), f"{support:,}"]
        for number, (label, *shares, support) in enumerate(
            zip(evaluation.labels, *columns, strict=True), start=1
        )
    ]
    header = ["#", "class", "precision", "recall", "F1", "test records"]
    return "## By class\n\n" + table(header, rows)


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
        f"{unlabelled}The weights were fitted on the train split and chosen on the validation "
        "split; no stage before this one has used the test split for either."
    )


def _use(evaluation: Evaluation) -> str:
    return (
        f"## Intended use\n\nTo sort {evaluation.modality}s like those of the corpus "
        f"`{evaluation.corpus}` into the classes above, where a share of errors as measured here "
        "can be borne, or a person looks at the result."
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


def _percent(figures: Figures, metric: str) -> str:
    value, interval = figures.values[metric], figures.intervals[metric]
    if value is None or interval is None:
        return UNDEFINED
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
