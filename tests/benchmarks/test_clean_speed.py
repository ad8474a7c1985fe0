"""What clean is timed beside finds the same."""

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.clean_speed import SIMILARITY, by_datasketch, measure, report
from tasks.contracts.records import collected_schema, write_records
from tasks.duplicates.text import clusters
from tests.workspace import ROOT


def texts() -> list[str]:
    with (ROOT / "tests" / "data" / "reuters-sample.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        real = [row["text"] for row in csv.DictReader(file)]
    return [*real, *(f"{text} again" for text in real[:40]), "a", "b"]


def test_datasketch_finds_the_same_clusters() -> None:
    found = clusters(texts(), similarity=SIMILARITY)
    assert by_datasketch(texts()).tolist() == found.tolist()
    assert (found != range(len(found))).sum() >= 35


def test_both_are_measured_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = collected_schema("text")
    rows = [{"text": text, "source": "a", "row": row} for row, text in enumerate(texts(), start=1)]
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    write_records(tmp_path / "records.parquet", schema, [batch])
    found = measure(tmp_path / "records.parquet", tmp_path, rounds=1)
    assert found["ratio"] > 0
    assert found["same_clusters"]
    report(found)
    said = capsys.readouterr().out
    assert "the same: True" in said
    assert "datatrove    not timed: --datatrove PYTHON" in said
