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
