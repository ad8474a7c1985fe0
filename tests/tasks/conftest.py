"""Splits of real texts and real images, small."""

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tasks.contracts import records
from tasks.inputs import token_cache as _token_cache
from tasks.training import determinism
from tests.tasks.digit_classifiers import digits, strong, weak

__all__ = ["digits", "strong", "weak"]

SAMPLE = Path(__file__).parents[1] / "data" / "reuters-sample.csv"


@pytest.fixture(scope="session", autouse=True)
def token_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests' tokens out of this checkout's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_token_cache, "FOLDER", tmp_path_factory.mktemp("tokens"))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Train on one thread: beside other workers, two wait for each other for most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(determinism, "NUM_THREADS", 1)
        yield


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new store's database; making one takes seconds, so the tests copy it."""
    from tasks.tracking.store import opened

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with opened():
            pass
    return folder / "mlflow.db"


def write(path: Path, modality: records.Modality, rows: list[dict[str, Any]]) -> Path:
    schema = records.split_schema(modality)
    records.write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    return path


def write_texts(folder: Path) -> tuple[Path, Path]:
    """Write train and validation texts."""
    with SAMPLE.open(encoding="utf-8") as file:
        rows = [
            {"id": hashlib.sha256(row["text"].encode()).hexdigest(), **row}
            for row in csv.DictReader(file)
        ]
    rows.sort(key=lambda row: hashlib.sha256(f"order {row['text']}".encode()).hexdigest())
    return (
        write(folder / "train.parquet", "text", rows[:180]),
        write(folder / "validation.parquet", "text", rows[180:]),
    )


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Train and validation texts."""
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Train and validation images of digits."""
    return write_images(tmp_path_factory.mktemp("images"))


def write_images(folder: Path) -> tuple[Path, Path]:
    """Write train and validation images of digits."""
    rows = []
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images[:600], digits.target, strict=False)):
        content = io.BytesIO()
        Image.fromarray((pixels * 255 / 16).round().astype(np.uint8)).save(content, "PNG")
        rows.append({"id": str(number), "image": content.getvalue(), "label": str(label)})
    return (
        write(folder / "train.parquet", "image", rows[:450]),
        write(folder / "validation.parquet", "image", rows[450:]),
    )
