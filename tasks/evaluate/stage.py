"""Evaluate: score a model and its twin on the test split, and write the evidence."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tasks.contracts import files
from tasks.contracts.paths import Part
from tasks.evaluate.attributions import Examples, examples
from tasks.evaluate.baselines import linear_baseline
from tasks.evaluate.card import model_card
from tasks.evaluate.card_page import card_page
from tasks.evaluate.evaluation import Evaluation, measure, metrics_json
from tasks.evaluate.folds import fold_figures
from tasks.evaluate.plots import write_plots
from tasks.evaluate.same_labels import with_same_labels
from tasks.evaluate.settings import Settings
from tasks.metrics.predictions import (
    Labelled,
    classify,
    positions,
    read_labelled,
    write_predictions,
)
from tasks.metrics.scores import Answers, Ints
from tasks.metrics.slices import slices_of
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
    """Write ``metrics.json``, ``predictions.parquet``, ``plots/`` and the model card.

    Args:
        model_name: the row of ``params.yaml``.
        model: the finetuned model's folder; ``labels.parquet`` and ``folds.parquet`` lie beside it.
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

    test = read_labelled(splits["test"])
    train = with_same_labels(read_labelled(splits["train"]), model.with_name("labels.parquet"))
    classifier = load_classifier(model)
    labels = classifier.labels
    true = positions(test.labels, labels, splits["test"], model)
    scored = classify("model", classifier, test, true)
    linear = linear_baseline(test.modality, train.contents, train.labels, test.contents)
    baselines = _twin(twin, test, true)
    baselines["linear"] = Answers(true, positions(linear, labels, splits["train"], model))
    evaluation = Evaluation(
        name=model_name,
        corpus=splits["test"].parent.name,
        modality=test.modality,
        labels=labels,
        split_sizes={part: pq.read_metadata(path).num_rows for part, path in splits.items()},
        num_trained=len(train.ids),
        num_unlabelled=test.num_unlabelled,
        folds=fold_figures(model.with_name("folds.parquet")),
        model=scored,
        baselines=baselines,
        slices=slices_of(true, labels, test.modality, test.contents),
        figures=measure(scored, baselines, len(labels), settings, [seed, *model_name.encode()]),
    )
    explained = examples(classifier, test, evaluation, output / "plots", settings.shown_examples)
    return _write(output, evaluation, test, explained, settings)


def _twin(folder: Path, test: Labelled, true: Ints) -> dict[str, Answers]:
    from tasks.models.classifier import load_classifier

    if not is_trained(folder):
        return {}
    return {"twin": classify("twin", load_classifier(folder), test, true)}


def _write(
    output: Path, evaluation: Evaluation, test: Labelled, explained: Examples, settings: Settings
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
    files.write_text(output / "README.md", model_card(evaluation, settings, explained.markdown))
    files.write_text(output / "README.html", card_page(evaluation, settings, explained, output))
    say(f"{evaluation.name}: accuracy {metrics['accuracy']:.4f} on {metrics['n_test']:,} records")
    return metrics


def is_trained(folder: Path) -> bool:
    """Tell whether a twin's folder holds a model; ``finetune`` can be told to train none."""
    description: dict[str, Any] = files.read_json(folder / "downstream.json")
    return bool(description.get("trained", True))
