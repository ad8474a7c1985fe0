"""The model card says what decides, first; its page fetches nothing, and no text is markup."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from tasks.evaluate.attributions import Example
from tasks.evaluate.card import card_page, model_card
from tasks.evaluate.evaluation import Evaluation, measure, metrics_json
from tasks.evaluate.plots import write_plots
from tasks.evaluate.settings import Settings
from tasks.metrics.scores import Answers, Scored
from tasks.metrics.slices import slices_of
from tasks.models.origin import Overlap

SETTINGS = Settings(bootstrap_samples=100)
EVIL = "<script>alert(1)</script>"
EXAMPLES = {
    "wrong": [Example("a", EVIL, 0.9, "> **oil** is dear", Markup('<p class="words">oil</p>'))],
    "right": [],
}
FOLD = {"mean": 0.5, "deviation": 0.25, "each": [0.25, 0.75]}


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
        metrics=measure(model, baselines, len(labels), SETTINGS, [0]),
    )


def test_a_student_names_its_teacher() -> None:
    teacher = {"weights_sha256": "5e" * 32, "temperature": 2.0, "weight": 0.25}
    card = model_card(replace(_evaluation(["a", "b"]), teacher=teacher), SETTINGS, {})
    assert "**A student**: beside the labels it has learnt the answers of a finetuned " in card
    assert f"`{'5e' * 32}` (the tag `weights_sha256` of a version): 25 % of the loss, at " in card
    assert "temperature 2.0. Its twin has learnt from the same one. What that model" in card
    assert "A student" not in model_card(_evaluation(["a", "b"]), SETTINGS, {})


def test_what_the_backbone_has_seen_is_disclosed() -> None:
    plain = _evaluation(["a", "b", "c"])
    disclosing = replace(plain, seen=Overlap(3, 120), learnt_labels=True)
    first = model_card(disclosing, SETTINGS, {}).split("\n## ")[0]
    assert "pretrained with the labels of this corpus' training records**" in first
    assert "3 of 120 test records stand in the data that the backbone was pretrained on." in first
    assert metrics_json(disclosing)["pretraining"] == {
        "seen_test_records": 0.025,
        "compared_test_records": 120,
        "labels_of_this_corpus": True,
    }
    silent = replace(plain, seen=Overlap(0, 120))
    assert model_card(silent, SETTINGS, {}) == model_card(plain, SETTINGS, {})
    assert "pretraining" not in metrics_json(plain)


@pytest.mark.parametrize(
    ("wrong_of_linear", "verdict", "told"),
    [
        (0, "behind", "**Behind** the linear baseline (0 test records alone right against 6, "),
        (6, "level", "Level with the linear baseline: these records do not tell the two apart (6 "),
        (60, "ahead", "Ahead of the linear baseline (60 test records alone right against 6, Mc"),
    ],
)
def test_it_says_whether_it_is_ahead_of_the_linear_baseline(
    wrong_of_linear: int, verdict: str, told: str
) -> None:
    plain = _evaluation(["a", "b", "c"])
    true = plain.model.true
    elsewhere = np.flatnonzero(plain.model.correct)[:wrong_of_linear]
    predicted = true.copy()
    predicted[elsewhere] = (true[elsewhere] + 1) % 3
    beside = replace(plain, baselines={**plain.baselines, "linear": Answers(true, predicted)})
    assert metrics_json(beside)["against"]["linear"]["verdict"] == verdict
    assert told in model_card(beside, SETTINGS, {}).split("\n## ")[0]


def test_it_says_how_it_stands_beside_nb_svm_where_there_is_one() -> None:
    plain = _evaluation(["a", "b", "c"])
    assert "NB-SVM" not in model_card(plain, SETTINGS, {})
    assert "saw the same records and labels.\n\n**Int" in model_card(plain, SETTINGS, {})
    assert set(metrics_json(plain)["baselines"]) == {"linear", "twin"}
    answers = {**plain.baselines, "nb_svm": Answers(plain.model.true, plain.model.true)}
    measured = measure(plain.model, answers, 3, SETTINGS, [0])
    beside = replace(plain, baselines=answers, metrics=measured)
    first = model_card(beside, SETTINGS, {}).split("\n## ")[0]
    assert "| NB-SVM baseline | 100.0 (96.9 to 100.0) |" in first
    assert "This model is **behind** it (0 test records alone right against 6).\n\n**Int" in first
    assert metrics_json(beside)["baselines"]["nb_svm"] == {"accuracy": 1.0, "macro_f1": 1.0}
    assert metrics_json(beside)["against"]["nb_svm"]["verdict"] == "behind"


def test_it_says_whether_validation_records_were_learnt() -> None:
    plain = _evaluation(["a", "b", "c"])
    told = "The weights were fitted on 80 records of the train split, those of the twin and of the "
    assert told in model_card(plain, SETTINGS, {})
    card = model_card(replace(plain, num_refit=20), SETTINGS, {})
    assert "The weights were fitted on 80 records, 20 of them of the validation split, " in card
    assert "either.\n\n## Limits\n" in model_card(plain, SETTINGS, {})
    assert "either.\n\n## Limits\n" in card


def test_the_first_screen_holds_what_decides() -> None:
    first = model_card(_evaluation(["a", "b", "c"]), SETTINGS, {}).split("\n## ")[0]
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
    card = model_card(_evaluation(["a", "b"]), settings, {})
    assert "**Intended use.** Sort \\*wire\\* news, \\<b\\>not\\</b\\> law." in card


def test_classes_and_thirds_have_intervals() -> None:
    card = model_card(_evaluation(["a", "b", "c"]), SETTINGS, {})
    assert "| 1 | a | 100.0 | 85.0 (70.9 to 92.9) | 91.9 | 40 |" in card
    assert "| short texts (up to 4 characters) |" in card
    assert "| long texts (over 8 characters) | 100.0 (91.2 to 100.0) | 40 |" in card


def test_examples_stand_between_the_slices_and_the_calibration() -> None:
    card = model_card(_evaluation(["a", "b"]), SETTINGS, EXAMPLES)
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
        "Repeats",
        "Data",
        "Limits",
    ]
    assert (
        "\n\n### Most confidently wrong\n\npredicted **a** (90.0 %), true **\\<script\\>alert(1)"
        "\\</script\\>**\n\n> **oil** is dear\n\n### Most confidently right\n\nNone.\n\n## Cal"
    ) in card


def test_confusions_are_listed_with_the_share_of_their_class() -> None:
    card = model_card(_evaluation(["a", "b", "c"]), SETTINGS, {})
    assert "6 of 120 test records are put into a wrong class." in card
    assert "| a | b | 6 | 15.0 |" in card


def test_the_folds_of_a_cross_validation_have_a_section() -> None:
    evaluation = _evaluation(["a", "b"])
    assert "None was asked for (`finetune.folds`)" in model_card(evaluation, SETTINGS, {})
    folds = {"number": 2, "n": 1200, "accuracy": FOLD, "macro_f1": FOLD}
    card = model_card(replace(evaluation, folds=folds), SETTINGS, {})
    assert "## Cross-validation\n\nThe 1,200 records of train and validation were dealt" in card
    assert "| accuracy | 0.5000 | 0.2500 | 0.2500 to 0.7500 |\n| macro F1 |" in card


def test_every_plot_is_embedded_by_a_relative_path() -> None:
    card = model_card(_evaluation(["a", "b"]), SETTINGS, {})
    assert re.findall(r"\]\((.*?)\)", card) == [
        "plots/confusion.png",
        "plots/reliability.png",
        "plots/roc.png",
    ]


def test_labels_cannot_break_the_tables() -> None:
    card = model_card(_evaluation(["a|b", "*bold*\nnew line", "<script>"]), SETTINGS, {})
    assert "| 1 | a\\|b |" in card
    assert "| 2 | \\*bold\\* new line |" in card
    assert "<script>" not in card


def test_a_card_without_a_twin_says_so() -> None:
    card = model_card(_evaluation(["a", "b"], twin=False), SETTINGS, {})
    assert "No twin was trained, so what pretraining gains is not known." in card
    assert "its twin, from random weights" not in card


def test_classes_with_few_test_records_are_named() -> None:
    card = model_card(_evaluation([f"c{n}" for n in range(5)]), SETTINGS, {})
    assert "fewer than 30 test records are hardly measured: c0 (24), c1 (24)" in card


def test_a_card_says_nothing_of_the_machine() -> None:
    card = model_card(_evaluation(["a", "b"]), SETTINGS, {})
    assert not re.search(r"20\d\d-\d\d|torch|sklearn|version \d", card)
    assert str(Path.cwd()) not in card


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("card")
    settings = Settings(bootstrap_samples=100, intended_use=f"Nothing {EVIL}")
    labels = ["a", EVIL, "](javascript:alert(1)) | ![x](http://x/y.png)"]
    true = np.arange(90) % 3
    model = Scored(true, np.roll(true, 1), np.full((90, 3), 1 / 3))
    baselines = {"linear": Answers(true, true)}
    evaluation = Evaluation(
        name=f"m{EVIL}",
        corpus="c",
        modality="text",
        labels=labels,
        split_sizes={"test": 90},
        num_trained=80,
        num_unlabelled=0,
        folds=None,
        model=model,
        baselines=baselines,
        slices=slices_of(true, labels, "text", [EVIL * (1 + n % 3) for n in range(90)]),
        metrics=measure(model, baselines, 3, SETTINGS, [0]),
    )
    write_plots(folder / "plots", evaluation, 15)
    return card_page(evaluation, settings, EXAMPLES, folder)


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_no_text_becomes_markup(page: str) -> None:
    tags = [tag for tag, _ in _Tags(page).found]
    assert "script" not in tags
    assert "a" not in tags
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 5


def test_all_plots_are_inside(page: str) -> None:
    sources = [attributes["src"] or "" for tag, attributes in _Tags(page).found if tag == "img"]
    assert len(sources) == 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_every_header_cell_heads_a_column(page: str) -> None:
    scopes = {attributes.get("scope") for tag, attributes in _Tags(page).found if tag == "th"}
    assert scopes == {"col"}


def test_the_examples_stand_before_the_calibration(page: str) -> None:
    assert "true <strong>&lt;script&gt;alert(1)&lt;/script&gt;</strong></p><p class=" in page
    assert "<h3>Most confidently right</h3>\n<p>None.</p>\n<h2>Calibration" in page
    assert page.index("<h2>By content") < page.index("<h2>Examples") < page.index("<h2>Calib")
