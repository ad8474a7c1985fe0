"""The way back is one command, and only to a champion that still is what it was."""

import shutil
from pathlib import Path

import pytest

from tasks.contracts import paths
from tasks.errors import BadInput, BadSettings, DownstreamError
from tasks.metrics.predictions import predict, read_labelled, write_predictions
from tasks.promotion.rollback import rescore, roll_back
from tasks.promotion.versions import FetchedVersion
from tasks.tracking.audit import aliases
from tasks.tracking.audit.aliases import CHAMPION, move
from tasks.tracking.audit.log import HEAD, aliases_of, read_log
from tasks.tracking.audit.writer import Change
from tasks.tracking.registry.version import PREDICTIONS, RegisteredVersion, read_version
from tasks.tracking.store import opened
from tests.classifiers import save_text_classifier
from tests.tasks.promotion.scene import CORPUS, MODEL, SIZES, Scene, enter


@pytest.fixture(scope="module")
def promoted(new_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two champions, one after the other, and a third version; to be copied."""
    models = {}
    for name, num_steps in (("first", 4), ("second", 8), ("third", 12)):
        models[name] = tmp_path_factory.mktemp(name) / "model"
        save_text_classifier(models[name], "bert", SIZES, num_steps)
    folder = tmp_path_factory.mktemp("promoted")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        shutil.copy(new_store, folder / "mlflow.db")
        scene = Scene(models)
        scene.lay()
        for name in models:
            scene.register(name)
        for version in (1, 2):
            promote(version)
    return folder


@pytest.fixture
def here(promoted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that workspace, which is the current folder."""
    monkeypatch.setattr(aliases, "SETTLING_SECONDS", 0.0)
    folder = tmp_path / "workspace"
    shutil.copytree(promoted, folder)
    enter(folder, monkeypatch)
    return folder


def promote(version: int) -> None:
    with opened() as client:
        move(client, MODEL, Change("approve", CHAMPION, version_to=version, reason="good"))


def where() -> dict[str, int]:
    with opened() as client:
        return aliases_of(client, MODEL)


def weights_of(folder: Path, version: int) -> Path:
    """Return the file of a version's weights; the logged models are as old as their versions."""
    found = folder.glob("mlartifacts/**/artifacts/model/model.safetensors")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)[version - 1]


def test_the_champion_before_is_champion_again_and_that_is_on_record(here: Path) -> None:
    said = roll_back(MODEL, None, "complaints")
    num_records = 64
    assert said == (
        f"topics: version 1 is the champion again, version 2 is `previous`; {num_records} recorded "
        "predictions repeated, scores within 1e-05"
    )
    assert where() == {"candidate": 3, "champion": 1, "previous": 2}
    with opened() as client:
        log = read_log(client, MODEL)
        entry, followed = log.entries[-2:]
        assert log.problems() == []
        tags = read_version(client, MODEL, 1).tags
    assert (entry["action"], entry["version_from"], entry["version_to"]) == ("rollback", 2, 1)
    assert (entry["reason"], followed["alias"]) == ("complaints", "previous")
    assert entry["evidence"] == {
        "weights_sha256": tags["downstream.weights_sha256"],
        "predictions_sha256": tags["downstream.predictions_sha256"],
        "rescored": f"{num_records} recorded predictions repeated, scores within 1e-05",
    }
    roll_back(MODEL, 2, "it was not that")
    assert where()["champion"] == 2


def test_after_a_change_by_hand_the_way_back_is_to_the_champion_before_it(here: Path) -> None:
    with opened() as client:
        client.set_registered_model_alias(MODEL, "champion", "3")
    roll_back(MODEL, None, "nobody has reviewed it")
    assert where() == {"candidate": 3, "champion": 2, "previous": 3}


@pytest.mark.parametrize(
    ("to", "message"),
    [
        (2, "topics version 2 is the champion already"),
        (3, r"topics version 3 was never made champion by a decision on record \(those: 1, 2\): "),
        (7, "topics has no version 7 in the registry"),
    ],
)
def test_where_there_is_no_way_back_nothing_moves(here: Path, to: int, message: str) -> None:
    with pytest.raises(DownstreamError, match=message):
        roll_back(MODEL, to, "complaints")
    assert where()["champion"] == 2


def test_a_version_with_tampered_weights_is_refused_by_the_files_name(here: Path) -> None:
    weights = weights_of(here, 1)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(
        BadInput, match=r"topics version 1: model\.safetensors in MLflow is not the"
    ):
        roll_back(MODEL, None, "complaints")
    assert where()["champion"] == 2


def test_without_the_test_records_it_says_where_they_come_from(here: Path) -> None:
    shutil.rmtree(paths.DATA / "split")
    with pytest.raises(BadInput, match=r"none of the \d+ records .*: `dvc pull data/split/topics`"):
        roll_back(MODEL, None, "complaints")


def test_a_log_that_does_not_hold_is_said_and_does_not_keep_a_bad_champion(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened() as client:
        client.set_registered_model_tag(MODEL, HEAD, f"1 {'0' * 64}")
    roll_back(MODEL, None, "complaints")
    assert "warning: topics: entry 1 was altered: " in capsys.readouterr().err
    assert where()["champion"] == 1


def test_a_model_without_champion_or_previous_and_bad_arguments_are_refused(here: Path) -> None:
    with pytest.raises(BadInput, match="--reason: it is empty"):
        roll_back(MODEL, None, " ")
    with pytest.raises(BadInput, match=r"--reason: 2,001 characters are too long .* 2,000 at most"):
        roll_back(MODEL, None, "x" * 2001)
    with pytest.raises(BadSettings, match="models has no row 'topic'; allowed: topics; did you"):
        roll_back("topic", None, "complaints")
    with opened() as client:
        client.delete_registered_model_alias(MODEL, "previous")
    with pytest.raises(DownstreamError, match="topics has no version `previous`: version 2 is its"):
        roll_back(MODEL, None, "complaints")
    with opened() as client:
        client.delete_registered_model_alias(MODEL, "champion")
    with pytest.raises(DownstreamError, match="topics has no champion that could be rolled back"):
        roll_back(MODEL, None, "complaints")


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
    write_predictions(Path(PREDICTIONS), test, found.labels, found.scored, {})
    return models


def _fetched(model: Path) -> FetchedVersion:
    return FetchedVersion(RegisteredVersion("m", 1, {}, "a card", "a run"), model, Path())


def test_a_sample_is_repeated(evaluated: dict[int, Path]) -> None:
    said = rescore(_fetched(evaluated[2]), CORPUS)
    assert said == "64 recorded predictions repeated, scores within 1e-05"


def test_records_that_lie_in_another_split_by_now_are_found(evaluated: dict[int, Path]) -> None:
    paths.split(CORPUS, "test").rename(paths.split(CORPUS, "train"))
    assert rescore(_fetched(evaluated[2]), CORPUS).startswith("64 recorded")


def test_another_models_scores_are_refused(evaluated: dict[int, Path]) -> None:
    with pytest.raises(
        BadInput, match=r"m version 1 does not score as recorded: record [0-9a-f]{12}"
    ):
        rescore(_fetched(evaluated[6]), CORPUS)


def test_a_model_that_does_not_load_is_refused(evaluated: dict[int, Path], tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"m version 1 does not load with this code \(.+\): check out"
    ):
        rescore(_fetched(tmp_path), CORPUS)
