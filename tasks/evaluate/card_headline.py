"""The first screen of the model card: what a person needs to decide on the model."""

from tasks.evaluate.evaluation import Evaluation, Figures, SliceResult, slice_results
from tasks.evaluate.settings import Settings
from tasks.reports.markdown import escape, table

RIVALS = {
    "model": "this model",
    "twin": "its twin, from random weights",
    "linear": "linear baseline",
}
LINEAR = {
    "text": "TF-IDF and a linear support vector machine",
    "image": "logistic regression on pixels",
}
TWIN = "The twin has the same architecture, records, order and budget, and no pretraining. "
FEW_RECORDS = 30
UNDEFINED = "not defined"


def headline(evaluation: Evaluation, settings: Settings) -> str:
    """Return the title and what decides: figures, gain, weakest slice, intended use."""
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
            f"test records of the corpus `{evaluation.corpus}`. {_gain(figures['model'])} "
            f"{_weakest(evaluation)}",
            table(["", "accuracy, %", "macro F1, %"], rows),
            "In brackets: 95 % intervals (Wilson for accuracy, bootstrap over the test records for "
            f"the rest). {TWIN if 'twin' in figures else ''}The linear baseline, "
            f"{LINEAR[evaluation.modality]}, saw the same records and labels.",
            f"**Intended use.** {_use(evaluation, settings.intended_use)}",
        ]
    )


def _weakest(evaluation: Evaluation) -> str:
    measured = [one for one in slice_results(evaluation) if one["records"] >= FEW_RECORDS]
    if not measured:
        return f"No class or other slice has {FEW_RECORDS} test records."
    weakest = min(measured, key=lambda one: one["accuracy"])
    kind = "class " if weakest["kind"] == "class" else ""
    return (
        f"Weakest slice of at least {FEW_RECORDS} records: {kind}{escape(weakest['name'])}, "
        f"{share(weakest)} %."
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


def _use(evaluation: Evaluation, intended_use: str) -> str:
    return escape(intended_use) or (
        f"To sort {evaluation.modality}s like those of the corpus `{evaluation.corpus}` into its "
        "classes, where a share of errors as measured here can be borne, or a person looks at the "
        "result."
    )


def share(one: SliceResult) -> str:
    """Return a slice's accuracy and its interval, in per cent."""
    low, high = one["interval"]
    return f"{100 * one['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _percent(figures: Figures, metric: str) -> str:
    value, interval = figures.values[metric], figures.intervals[metric]
    if value is None or interval is None:
        return UNDEFINED
    return f"{100 * value:.1f} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
