"""Leaves of parameters, as any two values differ, and reasons in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.plan.reasons import (
    NOT_IN_CACHE,
    Reason,
    param_differences,
    reason_line,
    reason_lines,
)

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


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (Reason("param", "seed", 0, 1), "seed: 0 → 1"),
        (Reason("param", "a.b", None, "x"), "a.b: (not set) → x"),
        (Reason("param", "a.b", 3, 5, default=True), "a.b: 3 → 5 (default)"),
        (Reason("command", "cmd", "a", "b"), "command: a → b"),
        (Reason("data", "data/x", "1" * 32, None), "data data/x: 11111111 → (none)"),
        (Reason("code", "tasks.x", "a" * 32, "b" * 32, ("Net.forward", "train")),
         "code tasks.x: aaaaaaaa → bbbbbbbb (Net.forward, train)"),
        (Reason("code", "tasks.x", "a", "b", tuple("defghi")),
         "code tasks.x: a → b (d, e, f, g and 2 more)"),
        (Reason("missing", "data/x", "1" * 32, None), "deleted: data/x"),
        (Reason("missing", "data/x", "1" * 32, "2" * 32), "changed on disk: data/x"),
        (Reason("missing", "data/x", "1" * 32, NOT_IN_CACHE), "not in DVC's cache: data/x"),
        (Reason("missing", "data/x"), "never made: data/x"),
    ],
)  # fmt: skip
def test_a_reason_is_one_line_with_what_it_was_and_is(reason: Reason, line: str) -> None:
    assert reason_line(reason) == line


def test_many_reasons_are_cut_and_what_is_waited_for_stands_last() -> None:
    many = [Reason("param", f"key{number}", None, "x" * 100) for number in range(9)]
    lines = reason_lines([Reason("upstream", "clean@a"), *many, Reason("upstream", "split@a")])
    assert lines[0] == f"key0: (not set) → {'x' * 39}…"
    assert lines[6:] == ["and 3 more (--json lists all)", "after clean@a, split@a"]


def test_a_stage_that_never_ran_is_told_in_two_words() -> None:
    assert reason_lines([Reason("missing", "data/x"), Reason("upstream", "clean@a")]) == [
        "never ran"
    ]
