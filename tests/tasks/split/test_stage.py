"""Three files, each sorted by id, that a new record does not disturb."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.contracts.paths import PARTS
from tasks.contracts.records import split_schema
from tasks.errors import BadInput
from tasks.machine.memory import MEMORY_VARIABLE
from tasks.split import stage

if TYPE_CHECKING:
    from tests.tasks.split.conftest import Split

Given = list[tuple[str, str | None, str | None]]

LABELS = ("好评", "bad", "x")
# Enough records for no split to stay empty.
BASE: Given = [(f"text {number}", LABELS[number % 3], None) for number in range(60)]


def where(parts: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    return {record["text"]: part for part, records in parts.items() for record in records}


def test_every_record_is_in_one_split(split: "Split") -> None:
    parts = split(BASE)
    found = [(record["text"], record["label"]) for part in PARTS for record in parts[part]]
    assert sorted(found) == sorted((text, label) for text, label, _ in BASE)


def test_the_files_are_sorted_by_id_and_have_the_contract_columns(
    split: "Split", tmp_path: Path
) -> None:
    parts = split(BASE)
    for part in PARTS:
        ids = [record["id"] for record in parts[part]]
        assert ids == sorted(ids)
        schema = pq.read_schema(tmp_path / "split" / f"{part}.parquet")
        assert schema == split_schema("text")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.text(min_size=1), unique=True, max_size=20), st.integers(0, 3))
def test_new_records_never_move_old_ones(split: "Split", new: list[str], seed: int) -> None:
    before = where(split(BASE, seed=seed))
    added: Given = [(text, "x", None) for text in new if text not in before]
    after = where(split(added + BASE, seed=seed))
    assert {text: after[text] for text in before} == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.permutations(BASE))
def test_the_order_of_the_records_does_not_matter(
    split: "Split", tmp_path: Path, shuffled: Given
) -> None:
    split(BASE)
    expected = [(tmp_path / "split" / f"{part}.parquet").read_bytes() for part in PARTS]
    split(shuffled)
    assert [(tmp_path / "split" / f"{part}.parquet").read_bytes() for part in PARTS] == expected


def test_each_class_is_divided_near_the_shares(split: "Split") -> None:
    records: Given = [(f"text {number}", LABELS[number % 3], None) for number in range(5_000)]
    parts = split(records, validation=0.1, test=0.2)
    for part, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        counts = Counter(record["label"] for record in parts[part])
        for label in LABELS:
            assert counts[label] / (5_000 / 3) == pytest.approx(share, abs=0.03)


def test_another_seed_divides_otherwise(split: "Split") -> None:
    assert where(split(BASE, seed=0)) != where(split(BASE, seed=1))


def test_an_official_test_split_is_kept_and_only_validation_is_taken_from_train(
    split: "Split",
) -> None:
    official: Given = [(f"test {number}", "x", "test") for number in range(5)]
    train: Given = [(text, label, "train") for text, label, _ in BASE]
    parts = split([*train, *official])
    assert sorted(record["text"] for record in parts["test"]) == [text for text, _, _ in official]
    by_hash = where(split(BASE))
    expected = {text for text, part in by_hash.items() if part == "validation"}
    assert {record["text"] for record in parts["validation"]} == expected


def test_where_all_splits_are_official_nothing_moves(split: "Split") -> None:
    records: Given = [(f"{part} {number}", "x", part) for part in PARTS for number in range(9)]
    parts = split(records)
    for part in PARTS:
        assert sorted(record["text"] for record in parts[part]) == [f"{part} {n}" for n in range(9)]


def test_sources_with_and_without_official_splits_can_stand_together(split: "Split") -> None:
    official: Given = [("official", "x", "test")]
    parts = where(split([*BASE, *official]))
    assert {text: parts[text] for text, _, _ in BASE} == where(split(BASE))
    assert parts["official"] == "test"


def test_unlabelled_records_are_divided_too(split: "Split") -> None:
    parts = split([(text, None, None) for text, _, _ in BASE])
    assert {record["label"] for part in PARTS for record in parts[part]} == {None}


def test_a_corpus_too_large_for_memory_is_sorted_in_ranges(
    split: "Split", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split(BASE)
    expected = [(tmp_path / "split" / f"{part}.parquet").read_bytes() for part in PARTS]
    monkeypatch.setattr(stage, "RANGE_BYTES", 1500)
    monkeypatch.setenv(MEMORY_VARIABLE, "512")
    split(BASE)
    assert [(tmp_path / "split" / f"{part}.parquet").read_bytes() for part in PARTS] == expected


def test_a_split_that_stays_empty_is_refused(split: "Split", tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        split([("a", "x", "train"), ("b", "y", "test")], validation=0.0)
    assert str(error.value) == (
        f"{tmp_path}/cleaned.parquet: the validation split stays empty, 2 records gave train 1, "
        "validation 0, test 1: set split.validation and split.test higher or lower, or add records"
    )
    assert not (tmp_path / "split").exists()
