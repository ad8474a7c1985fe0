"""Few labels: the choice is nested, stable, and even over the classes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.finetune.few_labels import choose, say_what_lacks

IDS = [f"record {number}" for number in range(200)]
LABELS = ["corn" if number % 10 == 0 else "earn" for number in range(200)]  # 20, 180


def chosen(wanted: float, seed: int = 0) -> list[str]:
    return [IDS[place] for place in choose(IDS, LABELS, wanted, seed)]


@pytest.mark.parametrize(
    ("wanted", "corn", "earn"),
    [(0, 20, 180), (3, 3, 3), (50, 20, 50), (0.01, 1, 2), (0.05, 1, 9), (0.2, 4, 36)],
)
def test_so_many_of_each_class_or_such_a_share_are_chosen(
    wanted: float, corn: int, earn: int
) -> None:
    labels = dict(zip(IDS, LABELS, strict=True))
    assert Counter(labels[name] for name in chosen(wanted)) == {"corn": corn, "earn": earn}


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 3))
def test_the_smaller_choice_is_contained_in_the_larger(one: int, other: int, seed: int) -> None:
    assert set(chosen(min(one, other), seed)) <= set(chosen(max(one, other), seed))


@given(st.permutations(range(40)))
def test_the_choice_does_not_depend_on_the_order_of_the_records(order: list[int]) -> None:
    ids, labels = IDS[:40], LABELS[:40]
    places = choose([ids[i] for i in order], [labels[i] for i in order], 3, 0)
    assert {ids[order[place]] for place in places} == {ids[i] for i in choose(ids, labels, 3, 0)}


def test_another_seed_chooses_others() -> None:
    assert set(chosen(5, seed=0)) != set(chosen(5, seed=1))


def test_a_class_with_too_few_records_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    say_what_lacks(LABELS, 50)
    expected = "labels: 50, but the class 'corn' has 20 records: all are used\n"
    assert capsys.readouterr().err == expected
    say_what_lacks(LABELS, 20)
    say_what_lacks(LABELS, 0.9)
    assert not capsys.readouterr().err
