"""Evaluate: score a model and its twin on the test split, and write the evidence."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.contracts import files
from tasks.contracts.paths import LABELS, Part
from tasks.evaluate.attributions import explained_examples
from tasks.evaluate.baselines import linear_baseline, train_and_validation, with_same_labels
from tasks.evaluate.card import card_page, model_card
from tasks.evaluate.evaluation import Evaluation, fold_metrics, measure, metrics_json
from tasks.evaluate.nb_svm import nb_svm_baseline
from tasks.evaluate.plots import write_plots
from tasks.evaluate.repeats import further_pairs, repeat_metrics
from tasks.evaluate.settings import Settings
from tasks.metrics.predictions import (
    Labelled,
    classify,
    label_indices,
    read_labelled,
    write_predictions,
)
from tasks.metrics.scores import Answers
from tasks.metrics.slices import slices_of
from tasks.models.model import description
from tasks.models.origin import labels_of, overlap
from tasks.progress import say
from tasks.training.determinism import make_deterministic

if TYPE_CHECKING:
    from tasks.models.classifier import Classifier
    from tasks.models.text import TextModel


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
        BadInput: no test record has a label, or one has a label that the model does not know; of
            another head than classification, none has its targets.
    """
    from tasks.models.classifier import load_classifier

    make_deterministic(seed)
    head = files.read_json(model / "downstream.json").get("head")
    if head is not None:
        from tasks.evaluate.headed import evaluate

        return evaluate(model_name, head, (model, twin), splits, output, settings, seed)
    test = read_labelled(splits["test"])
    of_train, validation = (read_labelled(splits[part]) for part in ("train", "validation"))
    all_train = train_and_validation(of_train, validation)
    chosen = model.with_name(LABELS)
    train = with_same_labels(all_train, chosen)
    before_refit = with_same_labels(of_train, chosen)
    classifier = load_classifier(model)
    labels = classifier.labels
    true = label_indices(test.labels, labels, splits["test"], model)
    scored = classify("model", _score(classifier, splits["test"], test), test, true)
    baselines: dict[str, Answers] = {}
    # ``finetune`` can be told to train no twin.
    if files.read_json(twin / "downstream.json").get("trained", True):
        score_twin = _score(load_classifier(twin), splits["test"], test)
        baselines["twin"] = classify("twin", score_twin, test, true)
    linear = linear_baseline(test.modality, train.contents, train.labels, test.contents)
    baselines["linear"] = Answers(true, label_indices(linear, labels, splits["train"], model))
    if test.modality == "text":
        nb_svm = nb_svm_baseline(
            (before_refit.contents, before_refit.labels),
            (validation.contents, validation.labels),
            (train.contents, train.labels),
            test.contents,
        )
        baselines["nb_svm"] = Answers(true, label_indices(nb_svm, labels, splits["train"], model))
    further = further_pairs(
        twin, all_train, test, true, lambda other: _score(other, splits["test"], test)
    )
    evaluation = Evaluation(
        name=model_name,
        corpus=splits["test"].parent.name,
        modality=test.modality,
        labels=labels,
        split_sizes={part: pq.read_metadata(path).num_rows for part, path in splits.items()},
        num_trained=len(train.ids),
        num_refit=len(train.ids) - len(before_refit.ids),
        num_unlabelled=test.num_unlabelled,
        seen=overlap(model, test.ids),
        learnt_labels=splits["test"].parent.name in labels_of(model),
        teacher=description(model).get("teacher"),
        folds=fold_metrics(model.with_name("folds.parquet")),
        repeats=repeat_metrics([{"model": scored, **baselines}, *further]),
        model=scored,
        baselines=baselines,
        slices=slices_of(true, labels, test.modality, test.contents),
        metrics=measure(scored, baselines, len(labels), settings, [seed, *model_name.encode()]),
    )
    plots = output / "plots"
    examples = explained_examples(classifier, test, evaluation, plots, settings.shown_examples)
    metrics = metrics_json(evaluation)
    files.write_json(output / "metrics.json", metrics)
    write_predictions(output / "predictions.parquet", test, labels, scored, baselines)
    write_plots(plots, evaluation, settings.calibration_bins)
    files.write_text(output / "README.md", model_card(evaluation, settings, examples))
    files.write_text(output / "README.html", card_page(evaluation, settings, examples, output))
    say(f"{model_name}: accuracy {metrics['accuracy']:.4f} on {metrics['n_test']:,} records")
    return metrics


def _score(
    classifier: "Classifier", split: Path, test: Labelled
) -> Callable[[slice], npt.ArrayLike]:
    """Return what scores a slice of the labelled records of a split.

    Texts are read from the token cache, as finetune reads them: model and twin share their tokens.
    """
    if classifier.modality == "image":
        return lambda some: classifier.scores(test.contents[some])
    # Not told by its class: a row of images would then be stale when code of texts changes.
    inputs = cast("TextModel", classifier.model).read_inputs([split])
    rows = np.flatnonzero(pc.is_valid(pq.read_table(split, columns=["label"])["label"]))
    return lambda some: classifier.scores_of(inputs, rows[some])
