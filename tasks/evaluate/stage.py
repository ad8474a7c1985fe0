"""Evaluate: score a model and its twin on the test split, and write the evidence."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.contracts import files
from tasks.contracts.paths import Part
from tasks.evaluate.baselines import linear_baseline
from tasks.evaluate.card import model_card
from tasks.evaluate.evaluation import Evaluation, measure, metrics_json
from tasks.evaluate.plots import write_plots
from tasks.evaluate.predictions import (
    Labelled,
    classify,
    positions,
    read_labelled,
    write_predictions,
)
from tasks.evaluate.scores import Answers
from tasks.evaluate.settings import Settings
from tasks.progress import say


def run(
    model_name: str,
    model: Path,
    twin: Path,
    splits: dict[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
) -> dict[str, Any]:
    """Write ``metrics.json``, ``predictions.parquet``, ``plots/`` and ``README.md``.

    Args:
        model_name: the row of ``params.yaml``.
        model: the finetuned model's folder.
        twin: the folder of the same model trained from random weights; it may hold none.
        splits: the three splits of the model's corpus.
        output: the folder that is written.
        settings: how the model is measured.
        seed: fixes the bootstrap's resamples.

    Returns:
        The content of ``metrics.json``.

    Raises:
        BadInput: no test record has a label, or one has a label that the model does not know.
    """
    from tasks.models.classifier import load_classifier

    test, train = read_labelled(splits["test"]), read_labelled(splits["train"])
    classifier = load_classifier(model)
    labels = classifier.labels
    true = positions(test.labels, labels, splits["test"], model)
    scored = classify("model", classifier, test, true)
    baselines: dict[str, Answers] = {}
    if is_trained(twin):
        baselines["twin"] = classify("twin", load_classifier(twin), test, true)
    linear = linear_baseline(test.modality, train.contents, train.labels, test.contents)
    baselines["linear"] = Answers(true, positions(linear, labels, splits["train"], model))
    evaluation = Evaluation(
        name=model_name,
        corpus=splits["test"].parent.name,
        modality=test.modality,
        labels=labels,
        split_sizes={part: pq.read_metadata(path).num_rows for part, path in splits.items()},
        num_unlabelled=test.num_unlabelled,
        model=scored,
        baselines=baselines,
        figures=measure(scored, baselines, len(labels), settings, [seed, *model_name.encode()]),
    )
    return _write(output, evaluation, test, settings)


def _write(
    output: Path, evaluation: Evaluation, test: Labelled, settings: Settings
) -> dict[str, Any]:
    metrics = metrics_json(evaluation)
    files.write_json(output / "metrics.json", metrics)
    write_predictions(
        output / "predictions.parquet",
        test,
        evaluation.labels,
        evaluation.model,
        evaluation.baselines,
    )
    write_plots(output / "plots", evaluation, settings.calibration_bins)
    files.write_text(output / "README.md", model_card(evaluation, settings))
    say(f"{evaluation.name}: accuracy {metrics['accuracy']:.4f} on {metrics['n_test']:,} records")
    return metrics


def is_trained(folder: Path) -> bool:
    """Tell whether a twin's folder holds a model; ``finetune`` can be told to train none."""
    description: dict[str, Any] = files.read_json(folder / "downstream.json")
    return bool(description.get("trained", True))
