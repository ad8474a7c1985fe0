"""Reasons in words."""

import pytest

from flows.plan.differences import NOT_IN_CACHE, Reason
from flows.plan.reasons import reason_line, reason_lines


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
