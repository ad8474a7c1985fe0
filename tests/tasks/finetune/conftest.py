"""Small backbones, and small labelled corpora for them."""

from pathlib import Path

import pytest

from tasks.contracts import records
from tasks.contracts.paths import Part
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings

BERT = {
    "objective": "masked",
    "architecture": "bert",
    "bert": {"layers": 2, "hidden_size": 32, "heads": 2, "positions": 64},
    "masked": {"tokens": 48, "vocabulary_size": 600},
    "training": {"epochs": 1},
}
VECTORS = {
    "objective": "cooccurrence",
    "architecture": "wordvectors",
    "cooccurrence": {"vocabulary_size": 600},
    "wordvectors": {"hidden_size": 32},
}
CONVNET = {
    "objective": "classification",
    "architecture": "convnet",
    "convnet": {"channels": 8, "hidden_size": 32},
    "training": {"epochs": 6, "learning_rate": 0.01},
}


@pytest.fixture(scope="session")
def bert(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT pretrained for one epoch."""
    folder = tmp_path_factory.mktemp("bert")
    settings = PretrainSettings.parse(BERT, "pretrain")
    pretrain.run("small-bert", *texts, folder / "out", settings, 0, folder / "checkpoints")
    return folder / "out" / "model"


@pytest.fixture(scope="session")
def vectors(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Word vectors of co-occurrence."""
    folder = tmp_path_factory.mktemp("vectors")
    settings = PretrainSettings.parse(VECTORS, "pretrain")
    pretrain.run("small-vectors", *texts, folder / "out", settings, 0, folder / "checkpoints")
    return folder / "out" / "model"


@pytest.fixture(scope="session")
def reader(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, read by an LSTM."""
    folder = tmp_path_factory.mktemp("reader")
    row = {**VECTORS, "wordvectors": {"hidden_size": 32, "reader": "lstm"}}
    settings = PretrainSettings.parse(row, "pretrain")
    pretrain.run("small-reader", *texts, folder / "out", settings, 0, folder / "checkpoints")
    return folder / "out" / "model"


@pytest.fixture(scope="session")
def convnet(images: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convnet pretrained for six epochs."""
    folder = tmp_path_factory.mktemp("convnet")
    settings = PretrainSettings.parse(CONVNET, "pretrain")
    pretrain.run("small-convnet", *images, folder / "out", settings, 0, folder / "checkpoints")
    return folder / "out" / "model"


@pytest.fixture(scope="session")
def few_images(
    images: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[Part, Path]:
    """120 digits to train on, 40 to validate with."""
    folder = tmp_path_factory.mktemp("few-images")
    return {
        "train": _first(images[0], 120, folder / "train.parquet"),
        "validation": _first(images[1], 40, folder / "validation.parquet"),
    }


@pytest.fixture(scope="session")
def few_texts(
    texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[Part, Path]:
    """All training texts, and validation texts."""
    return {"train": texts[0], "validation": texts[1]}


def _first(path: Path, count: int, target: Path) -> Path:
    table = records.read_table(path).slice(0, count)
    records.write_records(target, table.schema, table.to_batches())
    return target
