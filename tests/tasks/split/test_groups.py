"""By group: no author is in two splits, whatever else the corpus holds."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput, BadSettings
from tasks.split.settings import Settings

if TYPE_CHECKING:
    from tests.tasks.split.conftest import Split

AUTHORS: list[str | None] = [f"author {number % 30}" for number in range(90)]
TEXTS: list[tuple[str, str | None, str | None]] = [(f"text {row}", "x", None) for row in range(90)]
ASKED = {"group_by": "author", "validation": 0.2, "test": 0.2}


def parts_of_authors(
    parts: dict[str, list[dict[str, Any]]], authors: dict[str, str | None]
) -> dict[str | None, set[str]]:
    found: dict[str | None, set[str]] = {}
    for part, records in parts.items():
        for record in records:
            found.setdefault(authors[record["text"]], set()).add(part)
    return found


def test_each_group_is_in_one_split(split: "Split") -> None:
    parts = split(TEXTS, columns={"author": AUTHORS}, **ASKED)
    authors = dict(zip((text for text, _, _ in TEXTS), AUTHORS, strict=True))
    assert {len(found) for found in parts_of_authors(parts, authors).values()} == {1}
    assert sum(map(len, parts.values())) == 90
    assert split.report["group_by"] == {
        "left_out_of_train": 0,
        "left_out_of_validation": 0,
        "left_out_of_test": 0,
    }


def test_a_record_without_a_group_stands_for_itself(split: "Split") -> None:
    nobody: list[str | None] = [None] * 90
    assert split(TEXTS, columns={"author": nobody}, **ASKED) == split(
        TEXTS, validation=0.2, test=0.2
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.sampled_from(["author 1", "author 2", "new", None]), max_size=12))
def test_new_records_of_any_group_never_move_old_ones(
    split: "Split", new: list[str | None]
) -> None:
    def where(parts: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
        return {record["text"]: part for part, records in parts.items() for record in records}

    before = where(split(TEXTS, columns={"author": AUTHORS}, **ASKED))
    added: list[tuple[str, str | None, str | None]] = [
        (f"new {row}", "x", None) for row in range(len(new))
    ]
    after = where(split(added + TEXTS, columns={"author": new + AUTHORS}, **ASKED))
    assert {text: after[text] for text in before} == before


def test_a_group_of_the_official_test_split_is_left_out_of_train(split: "Split") -> None:
    records: list[tuple[str, str | None, str | None]] = [
        *((text, label, "train") for text, label, _ in TEXTS),
        ("test", "x", "test"),
    ]
    parts = split(records, columns={"author": [*AUTHORS, "author 3"]}, **ASKED)
    assert [record["text"] for record in parts["test"]] == ["test"]
    assert sum(map(len, parts.values())) == 88
    report = split.report["group_by"]
    assert report["left_out_of_train"] + report["left_out_of_validation"] == 3
    assert report["left_out_of_test"] == 0


@pytest.mark.parametrize("target", ["text_b", "response"])
def test_records_of_one_text_are_in_one_split_whatever_else_they_have(
    split: "Split", target: str
) -> None:
    records: list[tuple[str, str | None, str | None]] = [
        (f"prompt {number % 40}", None, None) for number in range(120)
    ]
    columns = {target: [f"response {number}" for number in range(120)]}
    for asked, num_straddling in (({}, 20), ({"group_by": "text"}, 0)):
        parts = split(records, columns=columns, **asked)
        assert sum(map(len, parts.values())) == 120
        found = [{row["text"] for row in rows} for rows in parts.values()]
        straddling = {
            text for some in found for text in some if sum(text in it for it in found) > 1
        }
        assert len(straddling) >= num_straddling
        assert bool(straddling) == bool(num_straddling)


def test_a_column_that_is_missing_is_named(split: "Split") -> None:
    with pytest.raises(BadInput) as error:
        split(TEXTS, columns={"author": AUTHORS}, group_by="autor")
    assert str(error.value).endswith(
        "cleaned.parquet has no column 'autor' (setting split.group_by); "
        "allowed: author; did you mean 'author'?"
    )
    with pytest.raises(BadInput, match="name it in `columns` of the corpus' sources"):
        split(TEXTS, group_by="author")


def test_too_few_groups_are_told(split: "Split") -> None:
    one: list[str | None] = ["Anna"] * 90
    with pytest.raises(BadInput) as error:
        split(TEXTS, columns={"author": one}, group_by="author")
    assert "1 groups of 'author' (split.group_by) are too few for these shares" in str(error.value)


@pytest.mark.parametrize(
    "raw",
    [
        {"group_by": "author", "by": "sent"},
        {"group_by": "author", "stratify": True},
        {"cuts": {"validation": "2024", "test": "2025"}},
    ],
)
def test_rules_that_contradict_each_other_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(BadSettings, match=r"corpora\.a\.split"):
        Settings.parse(raw, "corpora.a.split")
