"""Leaves of parameters, as any two values differ."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flows.plan.differences import Reason, param_differences

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: (
        st.dictionaries(st.text("xyz", min_size=1, max_size=2), inner, max_size=3)
        | st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


def reasons(recorded: dict[str, Any], actual: dict[str, Any]) -> list[Reason]:
    return list(param_differences(["key"], recorded, actual))


@given(VALUES, VALUES)
def test_values_have_reasons_exactly_if_they_differ(old: Any, new: Any) -> None:
    found = reasons({"key": old}, {"key": new})
    assert bool(found) == (old != new)
    assert all(reason.what == "key" or reason.what.startswith("key.") for reason in found)


def test_leaves_are_told_by_their_own_paths() -> None:
    old = {"key": {"same": 1, "depth": {"rate": 0.1}, "gone": True, "list": [1, 2]}}
    new = {"key": {"same": 1, "depth": {"rate": 0.2}, "new": "x", "list": [1, 3]}}
    assert reasons(old, new) == [
        Reason("param", "key.depth.rate", 0.1, 0.2),
        Reason("param", "key.gone", True, None),
        Reason("param", "key.list.1", 2, 3),
        Reason("param", "key.new", None, "x"),
    ]


def test_a_key_that_is_there_or_not_is_a_difference_even_without_leaves() -> None:
    assert reasons({}, {"key": {}}) == [Reason("param", "key", None, {})]
    assert reasons({"key": {}}, {"key": {}}) == []
