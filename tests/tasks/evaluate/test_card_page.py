"""The card as one HTML file: nothing is fetched, and no text becomes markup."""

from html.parser import HTMLParser

import numpy as np
import pytest

from tasks.evaluate.attributions import Examples
from tasks.evaluate.card_page import card_page
from tasks.evaluate.evaluation import Evaluation, measure
from tasks.evaluate.plots import write_plots
from tasks.evaluate.settings import Settings
from tasks.metrics.scores import Answers, Scored
from tasks.metrics.slices import slices_of

EVIL = "<script>alert(1)</script>"
SETTINGS = Settings(bootstrap_samples=100, intended_use=f"Nothing {EVIL}")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("card")
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
        figures=measure(model, baselines, 3, SETTINGS, [0]),
    )
    write_plots(folder / "plots", evaluation, 15)
    return card_page(evaluation, SETTINGS, Examples("## no", "<h2>Examples</h2>"), folder)


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
    assert page.index("<h2>By content") < page.index("<h2>Examples") < page.index("<h2>Calib")
