"""Globs as everybody knows them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.collect.sources._selection import by_split, matches


@pytest.mark.parametrize(
    ("path", "glob", "expected"),
    [
        ("a.csv", "**/*", True),
        ("x/y/a.csv", "**/*", True),
        ("a.csv", "*.csv", True),
        ("x/a.csv", "*.csv", False),
        ("x/a.csv", "**/*.csv", True),
        ("x/y/a.csv", "x/**/a.csv", True),
        ("x/a.csv", "x/**/a.csv", True),
        ("train/cat/1.png", "train/**", True),
        ("test/cat/1.png", "train/**", False),
        ("评论/甲.csv", "评论/?.csv", True),
        ("A.csv", "a.csv", False),
    ],
)
def test_a_star_stays_in_a_folder_and_two_cross_any_number(
    path: str, glob: str, expected: bool
) -> None:
    assert matches(tuple(path.split("/")), tuple(glob.split("/"))) is expected


@given(st.lists(st.text(alphabet="ab", min_size=1), min_size=1, max_size=5))
def test_every_path_matches_itself_and_everything(parts: list[str]) -> None:
    assert matches(tuple(parts), tuple(parts))
    assert matches(tuple(parts), ("**", "*"))
    assert not matches((*parts, "c"), tuple(parts))


def test_each_glob_knows_its_split() -> None:
    assert by_split("a") == [(None, "a")]
    assert by_split({"train": ["a", "b"], "test": "c"}) == [
        ("train", "a"),
        ("train", "b"),
        ("test", "c"),
    ]
