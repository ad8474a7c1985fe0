"""One setting says how much memory a data stage may take."""

import os
from collections.abc import Iterator

import pytest

from tasks.clean.shard_work import Kept
from tasks.contracts.params import MEMORY, set_variables
from tasks.machine.memory import DEFAULT_MIB, LEAST_MIB, num_processes_at_most, share


@pytest.fixture(autouse=True)
def no_setting() -> Iterator[None]:
    set_variables({}, os.environ, [MEMORY])
    yield
    set_variables({}, os.environ, [MEMORY])


def test_what_is_in_memory_at_a_time_is_a_share_of_the_setting() -> None:
    assert share(600) == 600
    set_variables({"memory": LEAST_MIB}, os.environ, [MEMORY])
    assert share(600) == 200
    assert share(1) == 1
    set_variables({"memory": 2 * DEFAULT_MIB}, os.environ, [MEMORY])
    assert share(600) == 1200
    set_variables({}, os.environ, [MEMORY])
    assert share(600) == 600


def test_processes_are_no_more_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOWNSTREAM_THREADS", "64")
    assert Kept.of("reviews", "code").num_workers == 64
    set_variables({"memory": LEAST_MIB}, os.environ, [MEMORY])
    assert Kept.of("reviews", "code").num_workers == 1
    set_variables({"memory": DEFAULT_MIB}, os.environ, [MEMORY])
    assert Kept.of("reviews", "code").num_workers == num_processes_at_most(64) == 6
