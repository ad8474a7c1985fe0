"""What several pairs of model and twin say together."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tasks.contracts import files
from tasks.contracts.paths import Part
from tasks.evaluate.repeats import repeat_metrics
from tasks.evaluate.settings import Settings
from tasks.evaluate.stage import run
from tasks.metrics.scores import Answers
from tests.classifiers import write_finetuned_on

Digits = tuple[Path, Path, dict[Part, Path]]
QUICK = Settings(bootstrap_samples=200)


def pair(model: int, twin: int, linear: int) -> dict[str, Answers]:
    """Return answers of which so many of ten are right."""
    true = np.zeros(10, dtype=np.int64)
    given = {"model": model, "twin": twin, "linear": linear}
    return {name: Answers(true, (np.arange(10) >= right) * 1) for name, right in given.items()}


def test_means_and_deviations_are_over_the_pairs() -> None:
    found = repeat_metrics([pair(9, 6, 7), pair(8, 7, 7), pair(10, 5, 7)])
    assert found is not None
    assert found["number"] == 3
    assert found["gain"]["each"] == [0.3, 0.1, 0.5]
    assert found["gain"]["mean"] == 0.3
    assert found["gain"]["deviation"] == 0.2
    assert found["lead"]["each"] == [0.2, 0.1, 0.3]
    assert found["linear"]["deviation"] == 0
    low, high = found["gain"]["interval"]
    assert low < 0 < high  # three pairs that differ so much show nothing


def test_one_pair_says_nothing_of_others() -> None:
    assert repeat_metrics([pair(9, 6, 7)]) is None


@pytest.fixture
def with_repeats(digits: Digits, tmp_path: Path) -> tuple[Path, Path, dict[Part, Path]]:
    """A model and its twin, and the two the other way round as a second pair."""
    model, twin, splits = digits
    for name, source in {"model": model, "twin": twin}.items():
        shutil.copytree(source, tmp_path / "finetune" / name)
    second = tmp_path / "finetune" / "twin" / "repeats" / "2"
    for name, source in {"model": twin, "twin": model}.items():
        shutil.copytree(source, second / name)
    for folder in (tmp_path / "finetune", second):
        write_finetuned_on(folder, splits["train"])
    return tmp_path / "finetune" / "model", tmp_path / "finetune" / "twin", splits


def test_the_gain_is_that_of_all_pairs_and_the_card_shows_each(
    with_repeats: Digits, tmp_path: Path
) -> None:
    model, twin, splits = with_repeats
    metrics = run("digits", model, twin, splits, tmp_path / "out", QUICK, 0)
    repeats = metrics["repeats"]
    first = metrics["accuracy"] - metrics["baselines"]["twin"]["accuracy"]
    assert repeats["gain"]["each"] == pytest.approx([first, -first], abs=1e-6)
    assert first > 0.05
    assert metrics["gain"] == repeats["gain"]["mean"] == 0
    written = files.read_json(tmp_path / "out" / "metrics.json")
    assert written["intervals"]["gain"] == repeats["gain"]["interval"] == [-1, 1]
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Pretraining makes no difference that these records can show: +0.0 points" in card
    assert f"{100 * first:.1f}, {-100 * first:.1f}" in card
    assert "2 pairs of model and twin were trained" in card
    assert "One pair of model and twin" not in card


def test_one_pair_says_on_its_card_that_it_is_one(digits: Digits, tmp_path: Path) -> None:
    model, twin, splits = digits
    run("digits", model, twin, splits, tmp_path, QUICK, 0)
    assert "repeats" not in files.read_json(tmp_path / "metrics.json")
    card = (tmp_path / "README.md").read_text()
    assert "One pair of model and twin was trained, so what another seed would change" in card
