"""Cleaned records on disk, and the real stage on them."""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts.paths import PARTS
from tasks.contracts.records import cleaned_schema, write_records
from tasks.corpora.columns import OF_TEXT, TARGETS, target_field, with_columns, with_fields
from tasks.split.settings import Settings
from tasks.split.stage import run


class Split:
    """Divides texts in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.report: dict[str, dict[str, int]] = {}
        """What the last call has left out or moved."""

    def __call__(
        self,
        records: list[tuple[str, str | None, str | None]],
        seed: int = 0,
        columns: dict[str, list[Any]] | None = None,
        **settings: Any,
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the records of each split.

        Args:
            records: each as (text, label, official split).
            seed: that of params.yaml.
            columns: further columns, a value for each record; those of targets have their type.
            settings: those of split.
        """
        path = self.root / "cleaned.parquet"
        further = columns or {}
        texts = [name for name in further if name not in TARGETS]
        schema = with_columns(cleaned_schema("text"), texts)
        schema = with_fields(schema, [target_field(n) for n in further if n in TARGETS])
        rows = [
            {
                "id": hashlib.sha256(
                    "".join(
                        [text, *(further[n][row - 1] for n in OF_TEXT if n in further)]
                    ).encode()
                ).hexdigest(),
                "text": text,
                "label": label,
                "split": official,
                "source": "files:a",
                "row": row,
                **{name: values[row - 1] for name, values in further.items()},
            }
            for row, (text, label, official) in enumerate(records, start=1)
        ]
        write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
        parsed = Settings.parse(settings, "corpora.a.split")
        self.report = run(path, self.root / "split", parsed, seed)
        return {
            part: pq.read_table(self.root / "split" / f"{part}.parquet").to_pylist()
            for part in PARTS
        }


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Return a function that divides texts, given as (text, label, official split)."""
    return Split(tmp_path)
