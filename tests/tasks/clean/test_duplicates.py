"""The first of equal contents stays."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.clean.duplicates import Seen


def test_a_repeated_content_is_told_by_its_label() -> None:
    seen = Seen()
    assert seen.reason_to_drop("a", "train", "x") is None
    assert seen.reason_to_drop("a", "train", "x") == "duplicate"
    assert seen.reason_to_drop("a", "train", "y") == "duplicate_other_label"
    assert seen.reason_to_drop("a", "train", None) == "duplicate_other_label"


def test_the_same_content_in_another_official_split_is_no_duplicate() -> None:
    seen = Seen()
    found = [seen.reason_to_drop("a", split, "x") for split in ("train", "test", None, "test")]
    assert found == [None, None, None, "duplicate"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["train", None]))))
def test_each_content_stays_once_in_each_split(records: list[tuple[str, str | None]]) -> None:
    seen = Seen()
    kept = [record for record in records if seen.reason_to_drop(*record, "x") is None]
    assert kept == list(dict.fromkeys(records))
