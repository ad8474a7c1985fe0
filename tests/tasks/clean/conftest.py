"""Collected records on disk, and the real stage on them."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.clean.settings import Settings
from tasks.clean.shard_work import Kept
from tasks.clean.stage import run
from tasks.contracts.records import Modality, collected_schema, write_records
from tasks.corpora.columns import RESERVED, with_columns
from tasks.corpora.corrections import attach_corrections

Clean = Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]


def cleaned_in(
    folder: Path,
    records: list[dict[str, Any]],
    modality: Modality = "text",
    corrections: dict[str, str] | None = None,
    kept: Kept | None = None,
    **settings: Any,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Clean records in a folder; return what is kept, and the report."""
    path, output = folder / "collected.parquet", folder / "clean"
    rows = [
        {"split": None, "label": None, "source": "files:a", "row": row, **record}
        for row, record in enumerate(records, start=1)
    ]
    names = [name for name in rows[0] if name not in RESERVED] if rows else []
    schema = with_columns(collected_schema(modality), names)
    write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    attach_corrections(path, corrections or {})
    run(path, output, Settings.parse(settings, "corpora.a.clean"), kept)
    report = json.loads((output / "report.json").read_text())
    return pq.read_table(output / "records.parquet").to_pylist(), report


@pytest.fixture
def clean(tmp_path: Path) -> Clean:
    """Return a function that cleans records and gives what is kept, and the report."""
    return partial(cleaned_in, tmp_path)
