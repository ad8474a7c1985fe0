"""The simulator of ``benchmarks.capacity``: what it adds up, against what is known without it."""

import dataclasses

import pytest

from benchmarks import capacity
from benchmarks.capacity import Assumed, DataCost, Measured

MEASURED = Measured(
    stage_seconds=0.1,
    server_seconds=0.01,
    lock_write={100: 0.01, 1_000: 0.1},
    plan={30: 1.0, 450: 2.0},
    stage_start={30: 2.0, 450: 3.0},
    remote_hit={10: 0.001},
    remote_miss={10: 0.0},
    data=DataCost(dict.fromkeys(capacity.KINDS[:4], 0.5), 2.0, {50: 200.0, 200: 230.0}),
)


@pytest.mark.parametrize("gpus", [1, 8, 64])
def test_a_project_takes_what_its_gpus_and_its_longest_chain_take_and_not_much_more(
    gpus: int,
) -> None:
    assumed = Assumed()
    found = capacity.simulate(MEASURED, assumed, 800, gpus)
    work = capacity.seconds_of_stages(MEASURED, assumed, 800)
    chain = sum(work.values()) / 3600
    on_gpus = 100 * sum(work[kind] for kind in capacity.ON_GPU) / 3600
    assert found.stages == 800
    assert found.gpu_hours == pytest.approx(on_gpus)
    assert max(chain, on_gpus / gpus) <= found.hours <= chain + on_gpus / gpus + 0.1
    assert 0 < found.busy <= 1


def test_a_run_that_is_slow_itself_is_the_limit_whatever_the_gpus() -> None:
    slow = dataclasses.replace(MEASURED, stage_seconds=1_000.0)
    found = [capacity.simulate(slow, Assumed(), 80, gpus) for gpus in (8, 1_000)]
    assert found[0].hours == pytest.approx(found[1].hours, rel=0.01)
    assert found[1].control > 0.9
    assert next(iter(capacity.first_limits(slow, 80))) == "the run itself"


def test_a_straight_line_goes_through_the_two_largest_and_never_falls() -> None:
    assert capacity.straight_line({10: 1.0, 100: 2.0, 1_000: 11.0}, 10_000) == pytest.approx(101)
    assert capacity.straight_line({10: 1.0, 100: 2.0}, 50) == 1.0
    assert capacity.straight_line({10: 2.0, 100: 1.0}, 1_000) == 1.0
    assert capacity.straight_line({10: 2.0}, 1_000) == 2.0


def test_a_terabyte_costs_the_same_money_on_more_gpus_and_less_time() -> None:
    few, many = (capacity.one_terabyte(MEASURED, Assumed(), gpus) for gpus in (8, 64))
    assert many.training_hours == pytest.approx(few.training_hours / 8)
    assert many.dollars == pytest.approx(few.dollars)


def test_the_lock_and_the_remote_that_are_measured_are_real_ones() -> None:
    assert capacity.lock_seconds(50) > 0
    hit, miss = capacity.remote_seconds(5)
    assert hit > miss > 0
