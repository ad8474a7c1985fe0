"""Everything that is known about a model after its test: the figures, and what they rest on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from tasks.contracts.records import Modality
from tasks.evaluate.settings import Settings
from tasks.metrics import scores
from tasks.metrics.intervals import Interval, bootstrap, wilson
from tasks.metrics.scores import Answers, Floats, Scored
from tasks.metrics.slices import Slice

# What is told of a baseline.
BASELINE_METRICS = ("accuracy", "macro_f1")
DIGITS = 6


@dataclass(frozen=True)
class Figures:
    """The metrics of one classifier with their 95 % intervals; None where undefined."""

    values: dict[str, float | None]
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class Evaluation:
    """What a model card, the plots and ``metrics.json`` are written from."""

    name: str
    corpus: str
    modality: Modality
    labels: list[str]
    split_sizes: Mapping[str, int]
    num_trained: int
    """Records of the training split that the model, its twin and the baseline were trained on."""
    num_unlabelled: int
    """Test records without a label, which are left out."""
    folds: dict[str, Any] | None
    """Mean and deviation over the folds of a cross-validation, where there was one."""
    model: Scored
    baselines: dict[str, Answers]
    """``linear``, and ``twin`` where one was trained."""
    slices: list[Slice]
    """Groups of test records: the classes, and thirds by content."""
    figures: dict[str, Figures]
    """Of ``model`` (with ``gain`` where there is a twin) and of each baseline."""

    @property
    def num_test(self) -> int:
        """How many test records were scored."""
        return len(self.model.true)


def measure(
    model: Scored,
    baselines: Mapping[str, Answers],
    num_classes: int,
    settings: Settings,
    seed: list[int],
) -> dict[str, Figures]:
    """Return the figures of the model and its baselines; all of them see the same resamples."""

    def everything(counts: Floats) -> dict[str, Floats]:
        found = _prefixed("model", _metrics(counts, model, num_classes))
        found["model/roc_auc"] = scores.roc_auc(counts, model)
        found["model/ece"] = scores.expected_calibration_error(
            counts, model, settings.calibration_bins
        )
        for name, answers in baselines.items():
            found |= _prefixed(name, _metrics(counts, answers, num_classes))
        if "twin" in baselines:
            found["model/gain"] = found["model/accuracy"] - found["twin/accuracy"]
        return found

    num_records = len(model.true)
    values = {name: value[0] for name, value in everything(scores.once_each(num_records)).items()}
    intervals = bootstrap(everything, num_records, settings.bootstrap_samples, seed)
    for name, answers in {"model": model, **baselines}.items():
        intervals[f"{name}/accuracy"] = wilson(int(answers.correct.sum()), num_records)
    return {name: _figures(name, values, intervals) for name in ("model", *baselines)}


def _metrics(counts: Floats, answers: Answers, num_classes: int) -> dict[str, Floats]:
    return {
        "accuracy": scores.accuracy(counts, answers),
        **scores.macro_scores(counts, answers, num_classes),
    }


def _prefixed(name: str, metrics: dict[str, Floats]) -> dict[str, Floats]:
    return {f"{name}/{metric}": value for metric, value in metrics.items()}


def _figures(name: str, values: Mapping[str, Any], intervals: Mapping[str, Interval]) -> Figures:
    found = Figures({}, {})
    for key, value in values.items():
        owner, _, metric = key.partition("/")
        if owner != name:
            continue
        interval = intervals[key]
        is_defined = math.isfinite(value) and interval is not None
        found.values[metric] = _rounded(value) if is_defined else None
        found.intervals[metric] = (
            (_rounded(interval[0]), _rounded(interval[1])) if is_defined and interval else None
        )
    return found


def _rounded(value: float) -> float:
    # Adding 0.0 turns -0.0 into 0.0.
    return round(float(value), DIGITS) + 0.0


class SliceResult(TypedDict):
    """How the model does on a slice of the test records."""

    kind: str
    name: str
    records: int
    accuracy: float
    """Of a class: its recall."""
    interval: list[float]
    """95 %, Wilson."""


def slice_results(evaluation: Evaluation) -> list[SliceResult]:
    """Return the accuracy within each slice."""
    found: list[SliceResult] = []
    for one in evaluation.slices:
        correct = evaluation.model.correct[one.members]
        num_right, num_records = int(correct.sum()), len(correct)
        found.append(
            {
                "kind": one.kind,
                "name": one.name,
                "records": num_records,
                "accuracy": _rounded(num_right / num_records),
                "interval": [_rounded(end) for end in wilson(num_right, num_records)],
            }
        )
    return found


def metrics_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content of ``metrics.json``."""
    figures = evaluation.figures
    model = dict(figures["model"].values)
    found: dict[str, Any] = {
        "gain": model.pop("gain", None),
        "baselines": {
            name: {
                metric: figures[name].values[metric] if name in figures else None
                for metric in BASELINE_METRICS
            }
            for name in ("linear", "twin")
        },
        "intervals": figures["model"].intervals,
        "slices": slice_results(evaluation),
    }
    if evaluation.folds is not None:
        found["folds"] = evaluation.folds
    if model["roc_auc"] is None:
        found["undefined"] = {"roc_auc": "all test records are of one class"}
    return {**model, "n_test": evaluation.num_test, **found}
