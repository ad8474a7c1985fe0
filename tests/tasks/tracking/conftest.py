"""A workspace of its own for each test, and the smallest models that are real."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.contracts import files, paths
from tests.classifiers import add_wide_part, save_tiny_bert

LABELS = ["earn", "grain"]
TEXTS = ["wheat and corn shipments rose", "the company posted a net profit"]


@pytest.fixture
def empty_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace without a store, which is the current folder."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture
def workspace(empty_workspace: Path, new_store: Path) -> Path:
    """A workspace with a new store, which is the current folder."""
    shutil.copy(new_store, empty_workspace / "mlflow.db")
    return empty_workspace


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer with random weights."""
    folder = tmp_path_factory.mktemp("text") / "model"
    save_tiny_bert(folder, TEXTS * 2, LABELS, 100)
    return folder


@pytest.fixture(scope="session")
def wide_model(text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a wide part."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    shutil.copytree(text_model, folder)
    add_wide_part(folder, TEXTS)
    return folder


@pytest.fixture(scope="session")
def image_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small convnet with random weights, for grey images of 8 by 8."""
    import torch

    from tasks.inputs.traits import ImageTraits
    from tasks.models.architectures import convnet
    from tasks.models.image import ImageModel

    folder = tmp_path_factory.mktemp("image") / "model"
    torch.manual_seed(0)
    settings = convnet.Settings(channels=8, hidden_size=8)
    ImageModel(convnet.build(settings, ImageTraits(1, 8, 8)), LABELS).save(folder)
    return folder


@pytest.fixture(scope="session")
def other_text_model(text_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights with the classes the other way round: another content."""
    folder = tmp_path_factory.mktemp("other") / "model"
    shutil.copytree(text_model, folder)
    about = files.read_json(folder / "downstream.json")
    files.write_json(folder / "downstream.json", {**about, "labels": LABELS[::-1]})
    return folder


PutModel = Callable[..., str]


@pytest.fixture
def put_model(empty_workspace: Path) -> PutModel:
    """Put a model and its evidence into the workspace, as the stages do; return its hash."""

    def put(name: str, model: Path, *, passed: bool = True) -> str:
        shutil.rmtree(paths.stage_output("finetune", name), ignore_errors=True)
        shutil.copytree(model, paths.finetuned(name))
        files.write_json(paths.metrics(name), {"accuracy": 0.9})
        evidence = paths.stage_output("evaluate", name)
        card = f"# {name}\n\nGood.\n\n## By class\n\nEqual.\n\n## Plot\n\n![x](plots/a.png)\n"
        files.write_text(evidence / "README.md", card)
        files.write_text(evidence / "README.html", "<h1>The card</h1>")
        files.write_text(evidence / "predictions.parquet", "predictions")
        files.write_text(evidence / "plots" / "a.png", "a plot")
        content_hash = files.sha256_of_folder(paths.finetuned(name))
        gates = {"passed": passed, "missed": [] if passed else ["accuracy is 0.9, below 0.95"]}
        version = {"model": name, "content_hash": content_hash, "gates": gates}
        files.write_json(paths.version(name), version)
        return content_hash

    return put
