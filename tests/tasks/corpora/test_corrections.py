"""A person's corrections are read, or refused by their row; they travel with the records."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts.records import collected_schema, read_schema, read_table, write_records
from tasks.corpora.corrections import (
    Corrections,
    attach_corrections,
    corrections_of,
    read_corrections,
)
from tasks.errors import BadInput

ONE, TWO = "1" * 64, "a" * 64
HEADER = "id,label,who,why\n"


def fault(folder: Path, content: str | bytes) -> str:
    text = content if isinstance(content, bytes) else content.encode()
    (folder / "corrections.csv").write_bytes(text)
    with pytest.raises(BadInput) as error:
        read_corrections(folder)
    return str(error.value).removeprefix(f"{folder}/")


def test_each_row_gives_a_record_its_label(tmp_path: Path) -> None:
    text = f'{HEADER}{ONE},earn,Ann,"a dividend, not a takeover"\n\n{TWO}, 好评 ,Bo,sic\n'
    (tmp_path / "corrections.csv").write_text(text, encoding="utf-8-sig")
    assert read_corrections(tmp_path) == {ONE: "earn", TWO: "好评"}


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read_corrections(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "text,label\nhi,x\n",
            "corrections.csv: expected the columns id,label,who,why (corrected labels); records of "
            "a corpus need another file name",
        ),
        (
            f"{HEADER}{ONE},earn,,typo\n",
            "corrections.csv: row 1: expected a value for each of id, label, who, why",
        ),
        (
            f"{HEADER}12345678,earn,Ann,typo\n",
            "corrections.csv: row 1: '12345678' is no id of a record (64 digits of 0-9 and a-f, as "
            "`downstream data labels` lists them)",
        ),
        (
            f"{HEADER}{ONE},earn,Ann,typo\n{ONE},acq,Bo,no\n",
            "corrections.csv: row 2 gives 11111111 the label 'acq', a row before 'earn': leave one "
            "of them",
        ),
    ],
)
def test_a_faulty_row_is_named(tmp_path: Path, content: str, message: str) -> None:
    assert fault(tmp_path, content) == message


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    assert fault(tmp_path, b"id,label\xff\n").startswith("corrections.csv is no csv file in UTF-8")


def test_corrections_travel_in_the_metadata_of_a_record_file(tmp_path: Path) -> None:
    path, schema = tmp_path / "records.parquet", collected_schema("text")
    rows = [{"text": "a", "row": row} for row in range(20_000)]
    write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    plain = path.read_bytes()
    attach_corrections(path, {})
    assert path.read_bytes() == plain
    attach_corrections(path, {ONE: "好评"})
    assert corrections_of(read_schema(path)) == {ONE: "好评"}
    assert read_table(path).to_pylist() == pa.Table.from_pylist(rows, schema).to_pylist()
    assert pq.read_metadata(path).num_row_groups == 2
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_that_was_dropped_before_it_had_an_id_is_passed_over() -> None:
    corrections = Corrections({ONE: "x"}, lambda label: label)
    record = {"image": b"", "label": None, "split": None}
    corrections.apply(record)
    assert record["label"] is None
    assert corrections.counts()["no_such_record"] == 1
