"""Numbers on the disk."""

import numpy as np
import pytest

from tasks.duplicates import columns
from tasks.duplicates.columns import Column


@pytest.fixture
def column() -> Column:
    column = Column(np.int64)
    for start in range(0, 100, 30):
        column.add(np.arange(start, min(100, start + 30)))
    return column


def test_numbers_are_read_as_they_were_added(column: Column) -> None:
    assert len(column) == 100
    assert column.read().tolist() == list(range(100))
    assert column.read(97, 99).tolist() == [97, 98]
    assert column.read(99).tolist() == [99]
    assert Column(np.uint64).read().tolist() == []


def test_runs_are_gathered_one_after_another(
    column: Column, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_HELD_BYTES", 1)  # pages are given back after each
    for _ in range(2):
        found = column.gather(np.array([50, 3, 99, 7]), np.array([2, 3, 1, 0]))
        assert found.tolist() == [50, 51, 3, 4, 5, 99]
    assert column.gather(np.array([5]), np.array([0])).tolist() == []


def test_all_numbers_are_gone_through_some_at_a_time(
    column: Column, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "ITEMS_AT_ONCE", 40)
    assert [chunk.tolist() for chunk in column.chunks()] == [
        list(range(40)), list(range(40, 80)), list(range(80, 100)),
    ]  # fmt: skip
