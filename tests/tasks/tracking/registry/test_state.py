"""What is said of a registry that was brought in step."""

from tasks.tracking.registry.state import ModelState, changes, sendings


def test_each_change_is_a_line() -> None:
    before = {"a": ModelState(None, 0), "b": ModelState(2, 2), "c": ModelState(1, 3)}
    after = {"a": ModelState(1, 1), "b": ModelState(1, 2), "c": ModelState(1, 3)}
    assert list(changes(before, after, ["c"])) == [
        "a: version 1 is new in the registry",
        "a: candidate is version 1, was none",
        "b: candidate is version 1, was 2",
        "c: its evaluation, which MLflow did not know, is recorded as restored",
    ]


def test_what_waited_is_counted() -> None:
    assert list(sendings(0, 0)) == []
    assert list(sendings(3, 1)) == [
        "2 record(s) that had waited for MLflow are sent",
        "1 record(s) still wait for MLflow",
    ]
