"""Corrected labels are applied before duplicates are compared, and each is counted."""

import hashlib
from typing import TYPE_CHECKING

from tasks.clean.corrections import Corrections

if TYPE_CHECKING:
    from tests.tasks.clean.conftest import Clean


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


RECORDS = [
    {"text": " wrong  one", "label": "x"},
    {"text": "wrong one", "label": "y"},
    {"text": "right", "label": "x"},
    {"text": "in test", "label": "x", "split": "test"},
]
GIVEN = {
    identity("wrong one"): " y ",
    identity("right"): "x",
    identity("in test"): "y",
    identity("gone"): "y",
}


def test_a_corrected_label_settles_a_conflict_and_test_keeps_its_labels(clean: "Clean") -> None:
    kept, report = clean(RECORDS, corrections=GIVEN)
    assert [(record["text"], record["label"]) for record in kept] == [
        ("wrong one", "y"),
        ("right", "x"),
        ("in test", "x"),
    ]
    assert report["corrections"] == {
        "applied": 1,
        "already_so": 2,
        "kept_in_test": 1,
        "no_such_record": 1,
    }
    assert report["dropped"]["duplicate"] == 1


def test_without_corrections_the_report_is_as_it_was(clean: "Clean") -> None:
    _, report = clean(RECORDS)
    assert "corrections" not in report


def test_a_record_that_was_dropped_before_it_had_an_id_is_passed_over() -> None:
    corrections = Corrections({identity("a"): "x"}, lambda label: label)
    record = {"image": b"", "label": None, "split": None}
    corrections.apply(record)
    assert record["label"] is None
    assert corrections.counts()["no_such_record"] == 1
