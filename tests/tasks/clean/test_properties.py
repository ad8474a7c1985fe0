"""What holds of cleaning whatever the records and the rules are."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tasks.contracts import records as contract
from tasks.errors import BadInput
from tests.tasks.clean.conftest import cleaned_in

WORDS = st.sampled_from(
    [
        "the", "cat", "sat", "on", "a", "mat", "im\u0301", "ﬁsh", "&lt;", "天气", "\u0338", "\n",
        "a@b.org", "10.0.0.1", "+49 30 123456", "4111 1111", "1111 1111", "All rights reserved",
        "...", "#",
    ]
)  # fmt: skip
TEXT = st.lists(WORDS, max_size=9).map(" ".join)
LABEL = st.sampled_from(["x", "y", "z", " x", None])


def records(*splits: str | None) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.fixed_dictionaries(
        {"text": TEXT, "label": LABEL, "split": st.sampled_from(splits)},
    )
    return st.lists(one, min_size=1, max_size=14)


THAT_DROP = {
    "near_duplicates": st.sampled_from([{}, {"similarity": 0.5, "words": 2}]),
    "rare_classes": st.sampled_from(
        [{"fewer_than": 2}, {"fewer_than": 3, "then": "other"}, {"then": "keep"}]
    ),
    "quality": st.just({"minimum_words": 2, "maximum_symbols": 0.1, "maximum_short_lines": 0.5}),
}
THAT_CHANGE = {
    "boilerplate": st.just("remove"),
    "personal_data": st.just(["email", "card", "ip", "telephone"]),
}
RULES = st.fixed_dictionaries({}, optional={**THAT_DROP, **THAT_CHANGE})
CONFLICTS = st.sampled_from(["majority", "drop"])
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cleaned")


def cleaned(
    folder: Path, found: list[dict[str, Any]], **rules: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Clean records; a draw of which nothing is left says nothing."""
    try:
        return cleaned_in(folder, found, **rules)
    except BadInput as error:
        assume("no record is left" not in str(error))
        raise


def contents(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return sorted(
        tuple(str(record[key]) for key in ("id", "text", "label", "split")) for record in found
    )


@given(records(None, "train", "test"), RULES, st.sampled_from([None, "majority", "drop", "first"]))
@quick
def test_every_record_is_kept_or_counted_once(
    folder: Path, found: list[dict[str, Any]], rules: dict[str, Any], conflicts: str | None
) -> None:
    kept, report = cleaned(folder, found, label_conflicts=conflicts, **rules)
    assert report["records_in"] == len(found)
    assert report["records_out"] == len(kept)
    assert len(found) == len(kept) + sum(report["dropped"].values())
    for split, counts in report["splits"].items():
        wanted = None if split == "none" else split
        assert counts["records_in"] == sum(record["split"] == wanted for record in found)
        assert counts["records_out"] == sum(record["split"] == wanted for record in kept)


@given(records(None, "train", "test"), RULES, st.sampled_from([None, "majority", "drop", "first"]))
@quick
def test_what_is_clean_stays_as_it_is(
    folder: Path, found: list[dict[str, Any]], rules: dict[str, Any], conflicts: str | None
) -> None:
    once, _ = cleaned(folder, found, label_conflicts=conflicts, **rules)
    twice, report = cleaned(folder, once, label_conflicts=conflicts, **rules)
    assert contents(twice) == contents(once)
    assert sum(report["dropped"].values()) == 0


@given(records(None, "train"), RULES, CONFLICTS, st.randoms(use_true_random=False))
@quick
def test_the_order_of_the_sources_does_not_matter(
    folder: Path,
    found: list[dict[str, Any]],
    rules: dict[str, Any],
    conflicts: str,
    draw: random.Random,
) -> None:
    kept, report = cleaned(folder, found, label_conflicts=conflicts, **rules)
    shuffled = draw.sample(found, len(found))
    others, other_report = cleaned(folder, shuffled, label_conflicts=conflicts, **rules)
    assert contents(others) == contents(kept)
    assert other_report["records_out"] == report["records_out"]


@given(records(None, "train", "test"), RULES, st.sampled_from([None, "majority"]))
@quick
def test_it_does_not_matter_how_many_records_are_read_at_once(
    folder: Path, found: list[dict[str, Any]], rules: dict[str, Any], conflicts: str | None
) -> None:
    at_once = cleaned(folder, found, label_conflicts=conflicts, **rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contract, "ROWS_PER_GROUP", 3)
        assert cleaned(folder, found, label_conflicts=conflicts, **rules) == at_once


@given(records("train", "test"), st.fixed_dictionaries({}, optional=THAT_DROP), CONFLICTS)
@quick
def test_no_rule_drops_or_relabels_an_official_test_record(
    folder: Path, found: list[dict[str, Any]], rules: dict[str, Any], conflicts: str
) -> None:
    without, _ = cleaned(folder, found)
    kept, _ = cleaned(folder, found, label_conflicts=conflicts, **rules)
    assert contents([record for record in kept if record["split"] == "test"]) == contents(
        [record for record in without if record["split"] == "test"]
    )
