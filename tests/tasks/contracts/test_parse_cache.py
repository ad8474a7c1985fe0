"""What is parsed once."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import parse_cache
from tasks.contracts.parse_cache import parsed_once


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parse_with(result: Any, calls: list[Any]) -> Any:
    calls.append(result)
    return result


def test_the_same_texts_are_parsed_once_and_others_anew() -> None:
    calls: list[Any] = []
    for texts, value in ((["a", "b"], 1), (["a", "b"], 2), (["ab"], 3), (["a", "b"], 4)):
        found = parsed_once("x", texts, lambda value=value: parse_with({"v": value}, calls))
        assert found == ({"v": 1} if value == 2 else {"v": value})
    assert len(calls) == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"key": 1}', "null", '{"value": 2}'])
def test_a_torn_or_foreign_cache_is_made_again(content: str) -> None:
    parse_cache.CACHE.mkdir(parents=True)
    (parse_cache.CACHE / "x.json").write_text(content)
    assert parsed_once("x", ["a"], lambda: [1]) == [1]
    assert parsed_once("x", ["a"], lambda: [2]) == [1]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_what_comes_back_is_what_was_parsed(value: Any) -> None:
    text = repr(value)
    assert repr(parsed_once("y", [text], lambda: value)) == repr(value)
    assert repr(parsed_once("y", [text], lambda: value)) == repr(value)


def test_a_workspace_that_cannot_be_written_to_costs_the_parsing_alone() -> None:
    parse_cache.CACHE.parent.write_text("a file in the place of the folder")
    assert parsed_once("x", ["a"], lambda: 1) == 1
    assert parsed_once("x", ["a"], lambda: 2) == 2
