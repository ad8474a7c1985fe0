"""Everything that is known about a model after its test: the metrics, and what they rest on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import records
from tasks.contracts.records import Modality
from tasks.evaluate.settings import Settings
from tasks.metrics import scores
from tasks.metrics.intervals import Interval, bootstrap, wilson
from tasks.metrics.scores import Answers, Floats, Scored
from tasks.metrics.significance import mcnemar_exact
from tasks.metrics.slices import Slice, SliceResult
from tasks.models.origin import Overlap

# What is told of a baseline.
BASELINE_METRICS = ("accuracy", "macro_f1")
ALPHA = 0.05
"""The level of the test that tells a model and a baseline apart."""


@dataclass(frozen=True)
class Metrics:
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
    """Records that the model, its twin and the baselines were trained on."""
    num_unlabelled: int
    """Test records without a label, which are left out."""
    folds: dict[str, Any] | None
    """Mean and deviation over the folds of a cross-validation, where there was one."""
    model: Scored
    baselines: dict[str, Answers]
    """``linear``, of texts ``nb_svm``, and ``twin`` where one was trained."""
    slices: list[Slice]
    """Groups of test records: the classes, and thirds by content."""
    metrics: dict[str, Metrics]
    """Of ``model`` (with ``gain`` where there is a twin) and of each baseline."""
    seen: Overlap | None = None
    """Test records that the backbone was pretrained on, where that is known."""
    learnt_labels: bool = False
    """The backbone was pretrained with the labels of this corpus."""
    num_refit: int = 0
    """How many of ``num_trained`` are of the validation split: with ``finetune.refit``, all."""
    repeats: dict[str, Any] | None = None
    """What several pairs of model and twin say together, where more than one was trained."""
    teacher: dict[str, Any] | None = None
    """Of a student: its teacher's ``weights_sha256``, the ``temperature`` and ``weight``."""

    @property
    def gain(self) -> tuple[float | None, Interval]:
        """What pretraining gains in accuracy, and its interval; over all pairs if there are more.

        Of one pair the interval covers the test records alone; without a twin both are None.
        """
        if self.repeats is not None:
            low_and_high = self.repeats["gain"]["interval"]
            return self.repeats["gain"]["mean"], low_and_high and tuple(low_and_high)
        model = self.metrics["model"]
        return model.values.get("gain"), model.intervals.get("gain")

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
) -> dict[str, Metrics]:
    """Return the metrics of the model and its baselines; all of them see the same resamples.

    Args:
        model: what the model says about the test records.
        baselines: what the others say about the same.
        num_classes: how many classes the model knows.
        settings: how many resamples, and how many calibration bins.
        seed: fixes the resamples.

    Returns:
        By name: ``model`` and each baseline. With a twin, the model's ``gain`` is its accuracy less
        the twin's.
    """

    def everything(counts: Floats) -> dict[str, Floats]:
        metrics: dict[str, Floats] = {}
        for name, answers in {"model": model, **baselines}.items():
            measured = _accuracy_and_macro_scores(counts, answers, num_classes)
            metrics |= {f"{name}/{metric}": value for metric, value in measured.items()}
        num_bins = settings.calibration_bins
        metrics["model/roc_auc"] = scores.roc_auc(counts, model)
        metrics["model/ece"] = scores.expected_calibration_error(counts, model, num_bins)
        if "twin" in baselines:
            metrics["model/gain"] = metrics["model/accuracy"] - metrics["twin/accuracy"]
        return metrics

    num_records = len(model.true)
    values = everything(scores.once_each(num_records))
    intervals = bootstrap(everything, num_records, settings.bootstrap_samples, seed)
    for name, answers in {"model": model, **baselines}.items():
        intervals[f"{name}/accuracy"] = wilson(int(answers.correct.sum()), num_records)
    measured = {name: Metrics({}, {}) for name in ("model", *baselines)}
    for key, value in values.items():
        name, _, metric = key.partition("/")
        interval = intervals[key]
        if math.isfinite(value[0]) and interval is not None:
            measured[name].values[metric] = scores.rounded(value[0])
            measured[name].intervals[metric] = (
                scores.rounded(interval[0]),
                scores.rounded(interval[1]),
            )
        else:
            measured[name].values[metric] = measured[name].intervals[metric] = None
    return measured


def _accuracy_and_macro_scores(
    counts: Floats, answers: Answers, num_classes: int
) -> dict[str, Floats]:
    return {
        "accuracy": scores.accuracy(counts, answers),
        **scores.macro_scores(counts, answers, num_classes),
    }


def fold_metrics(path: Path) -> dict[str, Any] | None:
    """Return each metric's mean and deviation over the folds of a cross-validation.

    ``finetune`` trains the folds' models; each is measured on the records that it was not shown.

    Args:
        path: ``folds.parquet``; empty where ``finetune`` was not asked to cross-validate.

    Returns:
        ``number`` of folds, ``n`` records, and for each metric ``mean``, ``deviation`` (of a
        sample: divided by the folds less one) and ``each``, one value a fold; None where there are
        no folds.
    """
    predictions = records.read_table(path)
    if not predictions.num_rows:
        return None
    folds = sorted(pc.unique(predictions["fold"]).to_pylist())
    each = [_of_fold(predictions.filter(pc.equal(predictions["fold"], fold))) for fold in folds]
    summary: dict[str, Any] = {"number": len(folds), "n": predictions.num_rows}
    for name in each[0]:
        values = [metrics[name] for metrics in each]
        summary[name] = scores.mean_and_deviation(values)
    return summary


def _of_fold(held_out: pa.Table) -> dict[str, float]:
    true, predicted = held_out["label"].to_pylist(), held_out["predicted"].to_pylist()
    index = {label: number for number, label in enumerate(sorted({*true, *predicted}))}
    answers = Answers(*(np.array([index[label] for label in part]) for part in (true, predicted)))
    counts = scores.once_each(len(true))
    measured = _accuracy_and_macro_scores(counts, answers, len(index))
    return {name: float(value[0]) for name, value in measured.items()}


def slice_results(evaluation: Evaluation) -> list[SliceResult]:
    """Return the accuracy within each slice."""
    results: list[SliceResult] = []
    for group in evaluation.slices:
        correct = evaluation.model.correct[group.members]
        num_right, num_records = int(correct.sum()), len(correct)
        results.append(
            {
                "kind": group.kind,
                "name": group.name,
                "records": num_records,
                "accuracy": scores.rounded(num_right / num_records),
                "interval": [scores.rounded(end) for end in wilson(num_right, num_records)],
            }
        )
    return results


def against_baselines(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Return, by baseline, whether the model is ahead of it on the test records, or behind.

    It is ``level`` unless McNemar's exact test tells the two apart. ``won`` are records that the
    model alone gets right, ``lost`` those that the baseline alone does.
    """
    verdicts = {}
    right = evaluation.model.correct
    for name, answers in evaluation.baselines.items():
        won, lost = int((right & ~answers.correct).sum()), int((answers.correct & ~right).sum())
        p_value = float(mcnemar_exact(won, lost))
        verdict = "level" if p_value >= ALPHA else "ahead" if won > lost else "behind"
        verdicts[name] = {
            "verdict": verdict,
            "won": won,
            "lost": lost,
            "p_value": scores.rounded(p_value),
        }
    return verdicts


def metrics_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content of ``metrics.json``."""
    metrics = evaluation.metrics
    model = dict(metrics["model"].values)
    intervals = dict(metrics["model"].intervals)
    model.pop("gain", None)
    gain, intervals["gain"] = evaluation.gain
    details: dict[str, Any] = {
        "gain": gain,
        "baselines": {
            name: {
                metric: metrics[name].values[metric] if name in metrics else None
                for metric in BASELINE_METRICS
            }
            for name in ("linear", *(["nb_svm"] if "nb_svm" in metrics else []), "twin")
        },
        "against": against_baselines(evaluation),
        "intervals": intervals,
        "slices": slice_results(evaluation),
    }
    if evaluation.seen is not None:
        details["pretraining"] = {
            "seen_test_records": scores.rounded(evaluation.seen.share),
            "compared_test_records": evaluation.seen.compared,
            "labels_of_this_corpus": evaluation.learnt_labels,
        }
    if evaluation.repeats is not None:
        details["repeats"] = evaluation.repeats
    if evaluation.folds is not None:
        details["folds"] = evaluation.folds
    if model["roc_auc"] is None:
        details["undefined"] = {"roc_auc": "all test records are of one class"}
    return {**model, "n_test": evaluation.num_test, **details}
