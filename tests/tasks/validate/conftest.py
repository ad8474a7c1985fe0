"""Three splits on disk, and the real stage on them."""

import hashlib
import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.contracts.paths import PARTS
from tasks.contracts.records import Modality, split_schema, write_records
from tasks.validate.settings import Settings
from tasks.validate.stage import run

Rows = list[tuple[Any, str | None]]


class Splits:
    """The splits of the row ``reviews`` in an empty workspace."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = root / "validate"
        self.metrics: dict[str, Any] = {}
        self.kept = root / ".downstream" / "validate" / "reviews" / "result.json"

    def write(self, modality: Modality = "text", **parts: Rows) -> None:
        """Write each split, given as rows of (text or image, label)."""
        schema = split_schema(modality)
        for part, given in parts.items():
            rows = [
                {"id": identity(content), modality: content, "label": label}
                for content, label in given
            ]
            batch = pa.RecordBatch.from_pylist(rows, schema=schema)
            write_records(self.root / f"{part}.parquet", schema, [batch])

    def run(self, **settings: Any) -> dict[str, Any]:
        """Run the stage and return the evidence."""
        paths = [self.root / f"{part}.parquet" for part in PARTS]
        parsed = Settings.parse(settings, "corpora.reviews.validate")
        self.metrics = run("reviews", *paths, self.output, parsed)
        return json.loads((self.output / "result.json").read_text())


def identity(content: str | bytes) -> str:
    """Return an id as ``clean`` would."""
    return hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()


@pytest.fixture(autouse=True, scope="session")
def _great_expectations() -> None:
    """Import the library while its own deprecation warnings are not errors; ours stay errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("great_expectations")


@pytest.fixture
def splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Splits:
    """Return good splits: 12, 4 and 4 texts of two classes."""
    monkeypatch.chdir(tmp_path)
    found = Splits(tmp_path)
    for part, count in (("train", 12), ("validation", 4), ("test", 4)):
        rows: Rows = [(f"{part} {row}", "好评" if row % 2 else "bad") for row in range(count)]
        found.write(**{part: rows})
    return found
