"""The Parquet tables between stages."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import records
from tasks.errors import BadInput

SCHEMA = records.split_schema("text")


def batches_of(sizes: list[int]) -> list[pa.RecordBatch]:
    number = 0
    batches = []
    for size in sizes:
        rows = [
            {"id": str(i), "text": f"文本 {i}", "label": None} for i in range(number, number + size)
        ]
        batches.append(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
        number += size
    return batches


@given(cuts=st.lists(st.integers(0, 9_000), min_size=1, max_size=4))
def test_the_bytes_do_not_depend_on_how_batches_were_cut(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("records")
    assert records.write_records(folder / "cut.parquet", SCHEMA, batches_of(cuts)) == sum(cuts)
    records.write_records(folder / "whole.parquet", SCHEMA, batches_of([sum(cuts)]))
    assert (folder / "cut.parquet").read_bytes() == (folder / "whole.parquet").read_bytes()


def test_records_come_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "records.parquet"
    records.write_records(path, SCHEMA, batches_of([3]))
    assert records.read_table(path)["text"].to_pylist() == ["文本 0", "文本 1", "文本 2"]
    assert sum(batch.num_rows for batch in records.read_batches(path)) == 3


def test_the_modality_is_told_by_the_columns() -> None:
    assert records.modality_of(records.collected_schema("text")) == "text"
    assert records.modality_of(records.cleaned_schema("image")) == "image"
    with pytest.raises(BadInput, match="expected a column 'text' or 'image', found id"):
        records.modality_of(pa.schema([("id", pa.string())]))


def test_a_group_of_large_records_has_fewer_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BYTES_PER_GROUP", 10)
    schema = records.split_schema("text")
    texts = ["four", "four", "four", None, "a text of more than ten", "a", "b"]
    rows = [{"id": str(row), "text": text} for row, text in enumerate(texts)]
    whole = [pa.RecordBatch.from_pylist(rows, schema=schema)]
    single = [pa.RecordBatch.from_pylist([row], schema=schema) for row in rows]
    for name, batches in (("whole", whole), ("single", single)):
        assert records.write_records(tmp_path / name, schema, batches) == 7
        found = [
            batch.column("text").to_pylist() for batch in records.read_batches(tmp_path / name)
        ]
        assert found == [texts[:3], texts[3:5], texts[5:]]
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "single").read_bytes()
    assert [*records.read_columns(tmp_path / "whole", ["id"])][1].to_pydict() == {"id": ["3", "4"]}


def test_a_table_without_contents_is_written_too(tmp_path: Path) -> None:
    table = pa.table({"id": [f"{number}" for number in range(3)], "label": ["a", "b", None]})
    assert records.write_records(tmp_path / "labels", table.schema, table.to_batches()) == 3
    assert records.read_table(tmp_path / "labels").equals(table)
