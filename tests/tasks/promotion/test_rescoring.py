"""A version scores as it did when it was evaluated, or is refused."""

from pathlib import Path

import pytest

from tasks.contracts import paths
from tasks.errors import BadInput
from tasks.metrics.predictions import predict, read_labelled, write_predictions
from tasks.promotion.rescoring import rescore
from tests.classifiers import save_text_classifier
from tests.tasks.promotion.scene import CORPUS, SIZES, Scene

PREDICTIONS = Path("predictions.parquet")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two models of the same texts."""
    made = {steps: tmp_path_factory.mktemp(f"steps{steps}") / "model" for steps in (2, 6)}
    for steps, folder in made.items():
        save_text_classifier(folder, "bert", SIZES, steps)
    return made


@pytest.fixture
def evaluated(
    models: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[int, Path]:
    """The current folder has the test records, and the first model's predictions of them."""
    monkeypatch.chdir(tmp_path)
    Scene(models).write_test_split()  # type: ignore[arg-type]
    test = read_labelled(paths.split(CORPUS, "test"))
    found = predict(models[2], test)
    write_predictions(PREDICTIONS, test, found.labels, found.scored, {})
    return models


def test_a_sample_is_repeated(evaluated: dict[int, Path]) -> None:
    said = rescore("m version 1", evaluated[2], PREDICTIONS, CORPUS)
    assert said == "64 recorded predictions repeated, scores within 1e-05"


def test_records_that_lie_in_another_split_by_now_are_found(evaluated: dict[int, Path]) -> None:
    paths.split(CORPUS, "test").rename(paths.split(CORPUS, "train"))
    assert rescore("m version 1", evaluated[2], PREDICTIONS, CORPUS).startswith("64 recorded")


def test_another_models_scores_are_refused(evaluated: dict[int, Path]) -> None:
    with pytest.raises(
        BadInput, match=r"m version 1 does not score as recorded: record [0-9a-f]{12}"
    ):
        rescore("m version 1", evaluated[6], PREDICTIONS, CORPUS)


def test_a_model_that_does_not_load_is_refused(evaluated: dict[int, Path], tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"m version 1 does not load with this code \(.+\): check out"
    ):
        rescore("m version 1", tmp_path, PREDICTIONS, CORPUS)
