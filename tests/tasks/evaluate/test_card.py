"""The model card says what decides, first."""

import re
from pathlib import Path

import numpy as np

from tasks.evaluate.card import model_card
from tasks.evaluate.evaluation import Evaluation, measure
from tasks.evaluate.scores import Answers, Scored
from tasks.evaluate.settings import Settings

SETTINGS = Settings(bootstrap_samples=100)


def _evaluation(labels: list[str], *, twin: bool = True) -> Evaluation:
    generator = np.random.default_rng(0)
    true = np.arange(120) % len(labels)
    scores = generator.random((120, len(labels)))
    scores[np.arange(120), true] += 1
    scores /= scores.sum(axis=1, keepdims=True)
    predicted = scores.argmax(axis=1)
    # Six records of the first class are taken for the second.
    wrong = np.flatnonzero(true == 0)[:6]
    predicted[wrong] = 1
    scores[wrong, 0], scores[wrong, 1] = scores[wrong, 1], scores[wrong].max(axis=1)
    model = Scored(true, predicted, scores)
    baselines = {"linear": Answers(true, np.roll(true, 60))}
    if twin:
        baselines = {"twin": Answers(true, np.where(np.arange(120) < 60, true, 0)), **baselines}
    return Evaluation(
        name="some-model",
        corpus="news",
        modality="text",
        labels=labels,
        split_sizes={"train": 1000, "validation": 100, "test": 120},
        num_unlabelled=0,
        model=model,
        baselines=baselines,
        figures=measure(model, baselines, len(labels), SETTINGS, [0]),
    )


def test_the_first_screen_holds_what_decides() -> None:
    first = model_card(_evaluation(["a", "b", "c"]), SETTINGS).split("\n## ")[0]
    assert "**Accuracy 95.0 (89.5 to 97.7) %** on 120 test records of the corpus `news`" in first
    assert "| this model | 95.0 (89.5 to 97.7) |" in first
    assert "| its twin, from random weights |" in first
    assert "| linear baseline | 100.0 (96.9 to 100.0) |" in first
    assert re.search(r"Pretraining gains \+\d+\.\d points \(\+\d+\.\d to \+\d+\.\d\)\.", first)
    assert len(first.splitlines()) < 20


def test_confusions_are_listed_with_the_share_of_their_class() -> None:
    card = model_card(_evaluation(["a", "b", "c"]), SETTINGS)
    assert "6 of 120 test records are put into a wrong class." in card
    assert "| a | b | 6 | 15.0 |" in card


def test_every_plot_is_embedded_by_a_relative_path() -> None:
    card = model_card(_evaluation(["a", "b"]), SETTINGS)
    assert re.findall(r"\]\((.*?)\)", card) == [
        "plots/confusion.png",
        "plots/reliability.png",
        "plots/roc.png",
    ]


def test_labels_cannot_break_the_tables() -> None:
    card = model_card(_evaluation(["a|b", "*bold*\nnew line", "<script>"]), SETTINGS)
    assert "| 1 | a\\|b |" in card
    assert "| 2 | \\*bold\\* new line |" in card
    assert "<script>" not in card


def test_a_card_without_a_twin_says_so() -> None:
    card = model_card(_evaluation(["a", "b"], twin=False), SETTINGS)
    assert "No twin was trained, so what pretraining gains is not known." in card
    assert "its twin, from random weights" not in card


def test_classes_with_few_test_records_are_named() -> None:
    card = model_card(_evaluation([f"c{n}" for n in range(5)]), SETTINGS)
    assert "fewer than 30 test records are hardly measured: c0 (24), c1 (24)" in card


def test_a_card_says_nothing_of_the_machine() -> None:
    card = model_card(_evaluation(["a", "b"]), SETTINGS)
    assert not re.search(r"20\d\d-\d\d|torch|sklearn|version \d", card)
    assert str(Path.cwd()) not in card
