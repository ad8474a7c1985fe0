"""Cleaned records on disk, and the real stage on them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts.paths import PARTS
from tasks.contracts.records import cleaned_schema, write_records
from tasks.split.settings import Settings
from tasks.split.stage import run

Split = Callable[..., dict[str, list[dict[str, Any]]]]


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Return a function that divides texts, given as (text, label, official split)."""

    def split_records(
        records: list[tuple[str, str | None, str | None]], seed: int = 0, **settings: float
    ) -> dict[str, list[dict[str, Any]]]:
        path = tmp_path / "cleaned.parquet"
        schema = cleaned_schema("text")
        rows = [
            {
                "id": hashlib.sha256(text.encode()).hexdigest(),
                "text": text,
                "label": label,
                "split": official,
                "source": "files:a",
                "row": row,
            }
            for row, (text, label, official) in enumerate(records, start=1)
        ]
        write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
        run(path, tmp_path / "split", Settings.parse(settings, "corpora.a.split"), seed)
        return {
            part: pq.read_table(tmp_path / "split" / f"{part}.parquet").to_pylist()
            for part in PARTS
        }

    return split_records
