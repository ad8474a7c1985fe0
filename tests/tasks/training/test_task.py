"""The random numbers of an example."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.training.task import ExampleRandom

seeds = st.integers(0, 2**56 - 1)
numbers = st.integers(0, 2**40)


@given(seed=seeds, step=numbers, places=st.lists(numbers, min_size=1, max_size=5))
def test_they_follow_from_seed_step_and_place_alone(
    seed: int, step: int, places: list[int]
) -> None:
    together = ExampleRandom(seed, step, np.array(places))
    for index, place in enumerate(places):
        alone = ExampleRandom(seed, step, range(place, place + 1))
        assert together[index].random(3).tolist() == alone[0].random(3).tolist()


@given(key=st.tuples(seeds, numbers, numbers), other=st.tuples(seeds, numbers, numbers))
def test_another_seed_step_or_place_gives_others(
    key: tuple[int, int, int], other: tuple[int, int, int]
) -> None:
    drawn = [
        set(ExampleRandom(seed, step, np.array([place]))[0].random(1000).tolist())
        for seed, step, place in (key, other)
    ]
    assert bool(drawn[0] & drawn[1]) == (key == other)


def test_a_generator_that_is_taken_again_is_at_its_beginning() -> None:
    randoms = ExampleRandom(1, 2, range(3))
    first = randoms[2].random(4).tolist()
    assert randoms[2].random(4).tolist() == first
