"""What is expected of values, labels and tags."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts.paths import PARTS
from tasks.contracts.records import split_schema, write_records
from tasks.corpora.columns import target_field, with_fields
from tasks.errors import ValidationFailed

if TYPE_CHECKING:
    from tests.tasks.validate.conftest import Splits


def add(splits: "Splits", **targets: Any) -> None:
    """Give every record of the splits the same targets, and no label."""
    fields = [target_field(name) for name in targets]
    schema = with_fields(split_schema("text"), fields)
    for part in PARTS:
        path = splits.root / f"{part}.parquet"
        table = pq.read_table(path).select(["id", "text"])
        columns = [table["id"], table["text"], pa.nulls(table.num_rows, pa.string())]
        columns += [pa.array([targets[f.name]] * table.num_rows, f.type) for f in fields]
        write_records(path, schema, pa.table(columns, schema=schema).to_batches())


def change(splits: "Splits", part: str, **targets: Any) -> None:
    """Give the first record of a split other targets."""
    path = splits.root / f"{part}.parquet"
    table = pq.read_table(path)
    for name, value in targets.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(place)
        column = pa.array([value, *table[name].to_pylist()[1:]], field.type)
        table = table.set_column(place, field, column)
    write_records(path, table.schema, table.to_batches())


def fault(splits: "Splits", **settings: Any) -> str:
    with pytest.raises(ValidationFailed) as caught:
        splits.run(**settings)
    return str(caught.value).splitlines()[1]


def test_values_have_a_range_and_are_there(splits: "Splits") -> None:
    add(splits, value=3.0)
    change(splits, "test", value=6.0)
    change(splits, "train", value=None)
    bounds = {"minimum": 1, "maximum": 5}
    some = {"maximum_unlabelled_share": 0.1, "values": bounds}
    assert fault(splits, **some) == (
        f"values of test: 1 ({first_id(splits, 'test')} 6.0), expected at least 1.0 and at most "
        "5.0 -> values, or mend the source"
    )
    assert fault(splits, values={"minimum": 1}).startswith("records of train without value: 1")
    told = splits.run(maximum_unlabelled_share=0.1)["facts"]["targets"]
    assert told["train"]["value"] == {"missing": 1, "minimum": 3.0, "mean": 3.0, "maximum": 3.0}
    assert told["test"]["value"]["maximum"] == 6.0


def first_id(splits: "Splits", part: str) -> str:
    return str(pq.read_table(splits.root / f"{part}.parquet")["id"][0])[:40]


def test_labels_that_train_lacks_are_refused_unless_they_are_to_warn(splits: "Splits") -> None:
    add(splits, labels=["a", "b"])
    assert splits.run()["facts"]["labels"]["a"] == {"train": 12, "validation": 4, "test": 4}
    change(splits, "test", labels=["a", "z"])
    assert fault(splits) == (
        "labels of test that train does not have: 1 (z 1), expected at most 0 -> add records of "
        "them to train, split.stratify, or severity: {unknown_labels: warning}, which counts them "
        "as wrong"
    )
    assert splits.run(severity={"unknown_labels": "warning"})["passed"]
    assert splits.metrics == {"warnings": 1}


def test_only_the_expected_labels_and_tags_are_let_through(splits: "Splits") -> None:
    add(splits, labels=["a", "b"], tokens=["The", "jury"], tags=["at", "nn"])
    assert splits.run(labels=["a", "b", "c"], tags=["at", "nn"])["passed"]
    assert "labels that are not expected: 1 (b 1)" in fault(splits, labels=["a"])
    assert "tags that are not expected: 1 (nn 1)" in fault(splits, tags=["at"])


def test_tags_are_known_in_iob_and_as_many_as_tokens(splits: "Splits") -> None:
    add(splits, tokens=["New", "York"], tags=["B-X", "I-X"])
    assert splits.run()["facts"]["targets"]["test"]["tags"]["mean"] == 2.0
    change(splits, "test", tags=["B-X"])
    assert fault(splits).startswith("tags of a record of test less its tokens: 1 (")
    change(splits, "test", tags=["B-X", "nn"])
    found = fault(splits)
    assert "tags of test that train does not have: 1 (nn 1)" in found
    assert "tags that are not in IOB, as others are: 1 (nn 1)" in found


def test_a_span_begins_with_b_or_its_tags_are_of_another_scheme(splits: "Splits") -> None:
    add(splits, tokens=["in", "New", "York"], tags=["O", "B-X", "I-X"])
    assert splits.run()["passed"]
    change(splits, "validation", tags=["I-X", "B-X", "I-Y"])
    change(splits, "train", tags=["I-Y", "I-Y", "B-Y"])
    found = fault(splits)
    assert "I- tags of a record of train that go on from no span: 1 (" in found
    assert "of validation that go on from no span: 1 (" in found
    assert " 2), expected at least 0 and at most 0 -> mend the source: B- begins each span" in found
    assert splits.run(severity={"tags_in_iob": "warning"})["passed"]
    add(splits, tokens=["in", "New", "York"], tags=["in", "np", "np"])
    assert "from no span" not in json.dumps(splits.run())


def test_the_evidence_of_a_corpus_without_targets_says_nothing_of_them(splits: "Splits") -> None:
    told = json.dumps(splits.run())
    assert "targets" not in told
    assert Path(splits.output / "gate.json").is_file()
