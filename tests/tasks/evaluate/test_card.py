"""The model card says what decides, first."""

import re
from pathlib import Path

import numpy as np

from tasks.evaluate.card import model_card
from tasks.evaluate.evaluation import Evaluation, measure
from tasks.evaluate.settings import Settings
from tasks.metrics.scores import Answers, Scored
from tasks.metrics.slices import slices_of

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
        num_trained=80,
        num_unlabelled=0,
        folds=None,
        model=model,
        slices=slices_of(true, labels, "text", [f"{n:04d}" * (1 + n % 3) for n in range(120)]),
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
    weakest = "Weakest slice of at least 30 records: class a, 85.0 (70.9 to 92.9) %."
    assert weakest in first
    assert "**Intended use.** To sort texts like those of the corpus `news`" in first
    assert len(first.splitlines()) < 20


def test_the_intended_use_is_taken_from_the_settings_as_plain_text() -> None:
    settings = Settings(bootstrap_samples=100, intended_use="Sort *wire* news, <b>not</b> law.")
    card = model_card(_evaluation(["a", "b"]), settings)
    assert "**Intended use.** Sort \\*wire\\* news, \\<b\\>not\\</b\\> law." in card


def test_classes_and_thirds_have_intervals() -> None:
    card = model_card(_evaluation(["a", "b", "c"]), SETTINGS)
    assert "| 1 | a | 100.0 | 85.0 (70.9 to 92.9) | 91.9 | 40 |" in card
    assert "| short texts (up to 4 characters) |" in card
    assert "| long texts (over 8 characters) | 100.0 (91.2 to 100.0) | 40 |" in card


def test_examples_stand_between_the_slices_and_the_calibration() -> None:
    card = model_card(_evaluation(["a", "b"]), SETTINGS, "## Examples\n\nsome")
    titles = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert titles == [
        "Figures",
        "Where it is wrong",
        "By class",
        "By content",
        "Examples",
        "Calibration",
        "ROC curves",
        "Cross-validation",
        "Data",
        "Limits",
    ]


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
