"""Logistic regression on a frozen backbone."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tasks.contracts import files
from tasks.contracts.paths import Part
from tasks.errors import BadSettings
from tasks.finetune import logistic, stage
from tasks.finetune.callbacks import EarlyStopping
from tasks.finetune.folds import FixedEpochs
from tasks.finetune.settings import Settings
from tasks.finetune.task import Finetuning, Recipe, new_task
from tasks.heads._corpus import Corpus
from tasks.heads.classification import read_corpus
from tasks.models.classifier import load_classifier
from tasks.models.model import load_backbone
from tasks.tracking.runs.metric_log import MetricLog

SETTINGS = Settings(mode="frozen", solver="lbfgs", pooling="weighted", patience=11, twin=False)
QUIET = MetricLog(None)


@pytest.fixture(scope="module")
def corpus(vectors: Path, few_texts: dict[Part, Path]) -> Corpus:
    return read_corpus(load_backbone(vectors), few_texts)


def task(vectors: Path, corpus: Corpus, chosen: np.ndarray, **changes: object) -> Finetuning:
    settings = SETTINGS.model_copy(update=changes)
    recipe = Recipe("small", load_backbone(vectors), corpus.classes, settings, 0, Path("unused"))
    train, validation = (corpus.examples.take(part) for part in (chosen, corpus.validation))
    return new_task(recipe, train, validation, 0)


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_the_minimum_is_that_of_sklearn(vectors: Path, corpus: Corpus, class_weights: str) -> None:
    chosen = np.arange(60)
    found = task(vectors, corpus, chosen, class_weights=class_weights)
    number = logistic.STRENGTHS.index(1.0) + 1
    logistic.fit(found, 0.0, "fit", FixedEpochs(number), QUIET)
    features, labels = (
        found.batch(chosen, logistic.NOTHING)["features"],
        corpus.examples.labels[chosen],
    )
    known = np.unique(labels)
    weights = None if class_weights == "none" else "balanced"
    expected = LogisticRegression(C=1.0, max_iter=5000, tol=1e-8, class_weight=weights)
    expected.fit(features.numpy(), labels)
    held_out = found._validation.batch(np.arange(20))["features"]
    logits = found.model.head[1](held_out).detach().double().numpy()[:, known]
    scores = np.exp(logits - logits.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)
    assert len(known) == len(corpus.classes)
    assert scores == pytest.approx(expected.predict_proba(held_out.numpy()), abs=1e-3)


def test_weaker_penalties_fit_better_and_validation_chooses_one(
    vectors: Path, corpus: Corpus
) -> None:
    found = task(vectors, corpus, np.arange(60))
    stopping = EarlyStopping(found, patience=11)
    losses = logistic.fit(found, 0.0, "fit", stopping, QUIET)
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert len(stopping.epochs) == len(logistic.STRENGTHS)
    accuracies = [epoch["accuracy"] for epoch in stopping.epochs]
    assert accuracies[stopping.best_epoch - 1] == max(accuracies)
    assert max(accuracies) > stopping.epochs[0]["majority_accuracy"]


def test_examples_in_parts_have_the_minimum_of_all_together(
    vectors: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = []
    for size in (4096, 7):
        monkeypatch.setattr(logistic, "EXAMPLES_AT_ONCE", size)
        found = task(vectors, corpus, np.arange(60), class_weights="balanced")
        logistic.fit(found, 0.0, "fit", FixedEpochs(3), QUIET)
        weights.append(found.model.head[1].weight.detach())
    assert weights[0].numpy() == pytest.approx(weights[1].numpy(), abs=1e-5)


def test_a_class_without_a_record_has_a_low_score_and_no_error(
    vectors: Path, corpus: Corpus
) -> None:
    present = np.flatnonzero(corpus.examples.labels[: corpus.num_train] != 0)[:50]
    found = task(vectors, corpus, present)
    logistic.fit(found, 0.0, "fit", FixedEpochs(5), QUIET)
    assert (found.logits().argmax(1) != 0).all()


def test_the_stage_repeats_to_the_byte_with_a_twin_that_takes_steps_and_with_folds(
    vectors: Path, few_texts: dict[Part, Path], tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"twin": True, "folds": 2, "epochs": 2})
    for name in ("one", "two"):
        kept = tmp_path / f"{name}-checkpoints"
        history = stage.run("small", vectors, few_texts, tmp_path / name, settings, 0, kept)
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
    assert len(history["model"]["epochs"]) == len(logistic.STRENGTHS)
    assert len(history["twin"]["epochs"]) == 2
    best = history["model"]["epochs"][history["model"]["best_epoch"] - 1]
    assert best["accuracy"] > best["majority_accuracy"]
    assert load_classifier(tmp_path / "one" / "model").scores(["oil"]).shape[0] == 1


@pytest.mark.parametrize("raw", [{"mode": "full"}, {"mode": "frozen", "devices": 2}])
def test_it_is_for_a_frozen_backbone_on_one_device(raw: dict[str, object]) -> None:
    with pytest.raises(BadSettings, match="solver: lbfgs needs mode: frozen, on one device"):
        Settings.parse({"solver": "lbfgs", **raw}, "finetune")


def test_a_reader_is_no_head_alone(
    reader: Path, few_texts: dict[Part, Path], tmp_path: Path
) -> None:
    settings = SETTINGS.model_copy(update={"pooling": "auto"})
    message = "solver: lbfgs fits a head alone, but .* is read by an LSTM"
    with pytest.raises(BadSettings, match=message):
        stage.run("small", reader, few_texts, tmp_path / "out", settings, 0, tmp_path / "kept")
