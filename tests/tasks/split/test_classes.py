"""Rare classes stand in every split, as far as they have records."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.tasks.split.conftest import Split

Given = list[tuple[str, str | None, str | None]]
COMMON: Given = [(f"c {row}", "common", None) for row in range(60)]
NEEDED = {1: ("train",), 2: ("train", "test"), 3: ("train", "test", "validation")}


def counts(parts: dict[str, list[dict[str, Any]]]) -> dict[str, Counter[str]]:
    return {part: Counter(record["label"] for record in found) for part, found in parts.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.integers(1, 8), st.integers(0, 50))
def test_a_rare_class_is_in_as_many_splits_as_it_has_records(
    split: "Split", size: int, seed: int
) -> None:
    rare = [(f"rare {row}", "rare", None) for row in range(size)]
    parts = split([*COMMON, *rare], seed=seed, stratify=True)
    found = counts(parts)
    assert {part for part in found if found[part]["rare"]} >= {*NEEDED[min(size, 3)]}
    assert sum(found[part]["rare"] for part in found) == size


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.permutations(COMMON + [(f"rare {row}", "rare", None) for row in range(3)]))
def test_the_order_of_records_does_not_decide_which_one_moves(
    split: "Split", shuffled: Given
) -> None:
    in_order = sorted(shuffled)
    assert split(in_order, stratify=True) == split(shuffled, stratify=True)


def test_a_class_with_records_everywhere_is_left_as_it_is(split: "Split") -> None:
    assert split(COMMON, stratify=True) == split(COMMON)
    assert split.report == {}
    split(COMMON, stratify=True)
    assert split.report == {"stratify": {"moved": 0}}


def similar(number: int, topic: str) -> list[str]:
    """Return texts that differ in their last word."""
    text = " ".join(f"{topic}{place}" for place in range(40))
    return [f"{text} ending{row}" for row in range(number)]


@pytest.mark.parametrize("seed", range(6))
def test_similar_records_of_a_rare_class_move_together(split: "Split", seed: int) -> None:
    rare: Given = [(text, "rare", None) for text in similar(3, "word")]
    two: Given = [
        (text, "two", None) for topic in ("first", "second") for text in similar(2, topic)
    ]
    given = [*COMMON, *rare, *two]
    only_apart = split(given, seed=seed, near_duplicates={})
    parts = split(given, seed=seed, stratify=True, near_duplicates={})
    found = counts(parts)
    # Nothing more is left out than without stratify, and one cluster stays in one split.
    before = counts(only_apart)
    for label in ("rare", "two"):
        assert sum(found[part][label] for part in found) == sum(before[p][label] for p in before)
    assert {part for part in found if found[part]["rare"]} == {"train"}
    assert {part for part in found if found[part]["two"]} == {"train", "test"}


def test_similar_records_of_several_classes_stay_where_they_are(split: "Split") -> None:
    first, second = similar(2, "word")
    given: Given = [*COMMON, (first, "a", None), (second, "b", None)]
    for seed in range(6):
        apart = split(given, seed=seed, near_duplicates={})
        assert split(given, seed=seed, stratify=True, near_duplicates={}) == apart


@pytest.mark.parametrize("size", [1, 2, 3])
def test_nothing_is_moved_into_an_official_test_split(split: "Split", size: int) -> None:
    records: Given = [
        *((text, label, "train") for text, label, _ in COMMON),
        *((f"rare {row}", "rare", "train") for row in range(size)),
        *((f"test {row}", "common", "test") for row in range(5)),
    ]
    found = counts(split(records, stratify=True))
    assert found["test"] == Counter(common=5)
    assert found["train"]["rare"] >= 1
    assert (found["validation"]["rare"] >= 1) == (size > 1)
