"""Which stage may start, whatever the graph looks like."""

import sys
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from flows.run.schedule import Schedule

UPSTREAM = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": []}


def schedule(jobs: int = 2, devices: int = 1, gpu: str = "") -> Schedule:
    return Schedule("abcde", UPSTREAM, dict.fromkeys(gpu, 1), jobs, devices)


def start_all(plan: Schedule) -> str:
    return "".join(iter(plan.start_next, None))


def test_a_stage_starts_when_its_upstream_is_done() -> None:
    plan = schedule(jobs=9)
    assert start_all(plan) == "ae"
    plan.finish("a")
    assert start_all(plan) == "bc"
    plan.finish("b")
    assert start_all(plan) == ""
    plan.finish("c")
    assert start_all(plan) == "d"


def test_upstream_that_is_not_part_of_the_run_is_done_already() -> None:
    assert start_all(Schedule("d", UPSTREAM, {}, 1, 1)) == "d"


def test_gpu_stages_have_slots_of_their_own() -> None:
    assert start_all(schedule(jobs=1, devices=1, gpu="a")) == "ae"
    assert start_all(schedule(jobs=5, devices=1, gpu="ae")) == "a"


def test_a_gpu_stage_takes_a_slot_for_each_of_its_devices() -> None:
    plan = Schedule("abc", dict.fromkeys("abc", ()), {"a": 2, "b": 2, "c": 1}, jobs=1, devices=3)
    assert start_all(plan) == "ac"
    plan.finish("c")
    assert start_all(plan) == ""
    plan.finish("a")
    assert start_all(plan) == "b"


def test_a_stage_that_asks_for_more_devices_than_there_are_takes_all() -> None:
    plan = Schedule("abc", dict.fromkeys("abc", ()), {"a": 1, "b": 4, "c": 1}, jobs=1, devices=2)
    assert start_all(plan) == "ac"
    plan.finish("a")
    plan.finish("c")
    assert start_all(plan) == "b"


def test_after_a_failure_nothing_starts_and_the_rest_is_skipped() -> None:
    plan = schedule(jobs=1)
    assert start_all(plan) == "a"
    plan.fail("a", keep_going=False)
    assert start_all(plan) == ""
    assert plan.skipped == ["b", "c", "d", "e"]


def test_keep_going_skips_only_what_depends_on_the_failure() -> None:
    plan = schedule(jobs=9)
    start_all(plan)
    plan.finish("a")
    start_all(plan)
    plan.fail("b", keep_going=True)
    assert plan.skipped == ["d"]


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, list[int]]:
    size = draw(st.integers(1, 9))
    return {
        n: draw(st.lists(st.sampled_from(range(n)), unique=True)) if n else [] for n in range(size)
    }


WANTED = st.dictionaries(st.integers(0, 8).map(str), st.integers(1, 5))


@given(graphs(), WANTED, st.integers(1, 3), st.integers(1, 3), st.randoms())
def test_every_stage_runs_once_after_its_upstream_and_within_the_slots(
    graph: dict[int, list[int]], gpu: dict[str, int], jobs: int, devices: int, chance: Random
) -> None:
    upstream = {str(name): [str(other) for other in others] for name, others in graph.items()}
    plan = Schedule(list(upstream), upstream, gpu, jobs, devices)
    done: list[str] = []
    while True:
        while name := plan.start_next():
            assert set(upstream[name]) <= set(done)
        if not plan.running:
            break
        assert sum(min(gpu[name], devices) for name in plan.running & gpu.keys()) <= devices
        assert len(plan.running - gpu.keys()) <= jobs
        name = chance.choice(sorted(plan.running))
        plan.finish(name)
        done.append(name)
    assert sorted(done) == sorted(upstream)


def test_ten_thousand_stages_take_ten_times_the_work_of_a_thousand() -> None:
    names = [str(number) for number in range(10_000)]
    upstream = {name: [names[0]] if number else [] for number, name in enumerate(names)}
    gpu = {name: 1 + number % 3 for number, name in enumerate(names) if number % 2}

    def num_calls(stages: list[str]) -> int:
        """Return how many functions are called, which no busy machine changes."""
        plan = Schedule(stages, upstream, gpu, 4, 2)
        calls = []
        sys.setprofile(lambda *_: calls.append(None))
        try:
            while started := list(iter(plan.start_next, None)):
                for name in started:
                    plan.finish(name)
        finally:
            sys.setprofile(None)
        return len(calls)

    assert num_calls(names) < 12 * num_calls(names[:1_000])
