"""Equal contents with several labels, or several targets of a head."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.clean.repeated import Rule, Seen
from tasks.clean.settings import Settings
from tasks.clean.stage import run
from tasks.contracts.records import collected_schema, write_records
from tasks.corpora.columns import target_field, with_fields
from tasks.errors import BadInput

Clean = Callable[..., tuple[list[dict[str, Any]], dict[str, Any]]]


def labelled(*pairs: tuple[str, str | None], split: str | None = None) -> list[dict[str, Any]]:
    return [{"text": text, "label": label, "split": split} for text, label in pairs]


def counted(report: dict[str, Any]) -> dict[str, int]:
    return {reason: count for reason, count in report["dropped"].items() if count}


def test_the_most_frequent_label_stays_where_no_split_is_official(clean: Clean) -> None:
    records, report = clean(labelled(("a", "y"), ("a", "x"), ("b", "x"), ("a", "x")))
    assert [(record["text"], record["label"]) for record in records] == [("a", "x"), ("b", "x")]
    assert counted(report) == {"duplicate": 1, "duplicate_other_label": 1}
    assert report["label_conflicts"] == {"rule": "majority", "contents": 1}
    assert report["splits"]["none"]["records_out"] == 2


def test_of_a_tie_nothing_stays(clean: Clean) -> None:
    records, report = clean(labelled(("a", "y"), ("a", "x"), ("b", "x")))
    assert [record["text"] for record in records] == ["b"]
    assert counted(report) == {"label_tie": 2}
    assert [example["row"] for example in report["examples"]["label_tie"]] == [1, 2]


def test_a_record_without_a_label_has_no_vote(clean: Clean) -> None:
    records, report = clean(labelled(("a", None), ("a", None), ("a", "x")))
    assert [record["label"] for record in records] == ["x"]
    assert counted(report) == {"duplicate": 1, "duplicate_other_label": 1}


def test_with_an_official_split_the_first_label_stays_as_ever(clean: Clean) -> None:
    found = labelled(("a", "y"), ("a", "x"), ("a", "x"), split="train")
    records, report = clean(found)
    assert [record["label"] for record in records] == ["y"]
    assert counted(report) == {"duplicate_other_label": 2}
    assert "label_conflicts" not in report


def test_what_is_asked_for_is_done_in_every_official_split_but_test(clean: Clean) -> None:
    repeated = (("a", "y"), ("a", "x"), ("a", "x"))
    found = [*labelled(*repeated, split="train"), *labelled(*repeated, split="test")]
    records, report = clean(found, label_conflicts="majority")
    assert [(record["split"], record["label"]) for record in records] == [
        ("train", "x"),
        ("test", "y"),
    ]
    assert report["splits"]["test"]["dropped"]["duplicate_other_label"] == 2
    assert report["label_conflicts"] == {"rule": "majority", "contents": 1}


def test_by_drop_nothing_that_is_contradicted_stays(clean: Clean) -> None:
    found = labelled(("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"), ("b", None))
    records, report = clean(found, label_conflicts="drop")
    assert [(record["text"], record["label"]) for record in records] == [("b", "x")]
    assert counted(report) == {"label_conflict": 2, "duplicate": 1, "duplicate_other_label": 1}


def test_by_first_the_order_of_the_sources_decides_and_the_report_says_so(clean: Clean) -> None:
    records, report = clean(labelled(("a", "y"), ("a", "x"), ("a", "x")), label_conflicts="first")
    assert [record["label"] for record in records] == ["y"]
    assert report["label_conflicts"] == {"rule": "first", "contents": 0}


def test_by_error_the_records_are_named(clean: Clean) -> None:
    found = labelled(("b", None), ("b", "x"), ("a", "x"), ("a", "y"))
    with pytest.raises(BadInput) as error:
        clean(found, label_conflicts="error")
    assert str(error.value) == (
        "equal contents with several labels: files:a, row 3 (x); files:a, row 4 (y): mend the "
        "source, or set clean.label_conflicts to majority, drop or first"
    )
    assert len(clean(found[:3], label_conflicts="error")[0]) == 2


def test_a_repeated_content_is_told_by_its_label() -> None:
    seen = Seen()
    assert seen.reason_to_drop("a", "train", "x") is None
    assert seen.reason_to_drop("a", "train", "x") == "duplicate"
    assert seen.reason_to_drop("a", "train", "y") == "duplicate_other_label"
    assert seen.reason_to_drop("a", "train", None) == "duplicate_other_label"


def test_the_same_content_in_another_official_split_is_no_duplicate() -> None:
    seen = Seen()
    found = [seen.reason_to_drop("a", split, "x") for split in ("train", "test", None, "test")]
    assert found == [None, None, None, "duplicate"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["train", None]))))
def test_each_content_stays_once_in_each_split(records: list[tuple[str, str | None]]) -> None:
    seen = Seen()
    kept = [record for record in records if seen.reason_to_drop(*record, "x") is None]
    assert kept == list(dict.fromkeys(records))


RECORDS = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(["train", None]), st.sampled_from("xyz"))
)


@given(RECORDS, st.sampled_from(["first", "majority"]), st.integers(1, 4))
def test_contents_that_lie_sorted_are_known_as_those_in_the_dict_are(
    records: list[tuple[str, str | None, str]], rule: Rule, most: int
) -> None:
    in_dict, in_part_sorted = Seen(rule), Seen(rule, most_in_dict=most)
    for record in records:
        assert in_part_sorted.reason_to_drop(*record) == in_dict.reason_to_drop(*record)
    for record in records:
        expected = in_dict.reason_to_drop_after_all(*record)
        assert in_part_sorted.reason_to_drop_after_all(*record) == expected


TARGETS = with_fields(collected_schema("text"), [target_field("value"), target_field("tags")])


def with_targets(
    folder: Path, values: list[tuple[float | None, list[str] | None]], **rules: Any
) -> tuple[list[Any], dict[str, int]]:
    """Clean equal texts with these targets, and one text more; return values kept, and counts."""
    rows = [
        {"text": "equal", "label": "x", "value": value, "tags": tags, "source": "a", "row": row}
        for row, (value, tags) in enumerate(values, start=1)
    ]
    rows.append({"text": "other", "label": "x", "value": 9.0, "source": "a", "row": 0})
    path = folder / "collected.parquet"
    write_records(path, TARGETS, [pa.RecordBatch.from_pylist(rows, schema=TARGETS)])
    run(path, folder / "clean", Settings.parse(rules, "corpora.a.clean"))
    report = json.loads((folder / "clean" / "report.json").read_text())
    kept = pq.read_table(folder / "clean" / "records.parquet")["value"].to_pylist()
    return sorted(kept)[:-1], {why: count for why, count in report["dropped"].items() if count}


def test_equal_texts_with_other_targets_are_counted_and_the_first_stays(tmp_path: Path) -> None:
    values = [(1.0, ["N"]), (1.0, ["N"]), (2.0, ["N"]), (1.0, ["V"])]
    for rules in ({}, {"label_conflicts": "first"}):
        assert with_targets(tmp_path, values, **rules) == (
            [1.0], {"duplicate": 1, "duplicate_other_target": 2},
        )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "values", "kept", "dropped"),
    [
        ("majority", [1.0, 2.0, 2.0], [2.0], {"duplicate": 1, "duplicate_other_label": 1}),
        ("majority", [1.0, 2.0], [], {"label_tie": 2}),
        ("majority", [None, 2.0], [], {"label_tie": 2}),
        ("drop", [1.0, 2.0, 2.0], [], {"duplicate": 1, "label_conflict": 2}),
        ("drop", [1.0, 1.0], [1.0], {"duplicate": 1}),
    ],
)
def test_targets_are_voted_on_where_a_rule_for_conflicts_is_asked_for(
    tmp_path: Path,
    rule: str,
    values: list[float | None],
    kept: list[float],
    dropped: dict[str, int],
) -> None:
    targets = [(value, None) for value in values]
    assert with_targets(tmp_path, targets, label_conflicts=rule) == (kept, dropped)


def test_conflicting_targets_are_named_where_they_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        with_targets(tmp_path, [(1.0, ["N"]), (2.0, None)], label_conflicts="error")
    assert str(error.value) == (
        "equal contents with several labels or targets: a, row 1 (x, 1.0, ['N']); a, row 2 "
        "(x, 2.0): mend the source, or set clean.label_conflicts to majority, drop or first"
    )
