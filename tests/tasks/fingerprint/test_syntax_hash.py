"""What counts as a change of a module, and that its hash is computed once a text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.fingerprint.syntax_hash import REMEMBERED, ModuleHashes, hash_of_source

SOURCE = '''
"""A module."""
from tasks.errors import BadInput
LIMIT = 3

class RowSettings:
    """Schema."""
    size: int = 4

def double(value: int) -> int:
    """Double it."""
    if value > LIMIT:
        raise BadInput(f"{value} is too large")
    say("doubled")
    return 2 * value
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Double it."""', '"""Return twice the value."""'),
        ("LIMIT = 3", "LIMIT = 3  # the largest"),
        ("return 2 * value", "return (\n        2 * value\n    )"),
        ('f"{value} is too large"', 'f"{value} is over {LIMIT}: lower it"'),
        ("size: int = 4", "size: int = 5"),
        ('say("doubled")', 'say(f"doubled {value}")'),
    ],
)
def test_comments_formatting_texts_and_schema_are_not_hashed(old: str, new: str) -> None:
    assert old in SOURCE
    assert hash_of_source(SOURCE.replace(old, new)) == hash_of_source(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("2 * value", "3 * value"),
        ("value > LIMIT", "value >= LIMIT"),
        ("raise BadInput(", "raise ValueError("),
    ],
)
def test_what_can_reach_an_output_is_hashed(old: str, new: str) -> None:
    assert hash_of_source(SOURCE.replace(old, new)) != hash_of_source(SOURCE)


@given(comment=st.text(st.characters(codec="utf-8", exclude_characters="\r\n\f"), max_size=30))
def test_any_comment_leaves_the_hash(comment: str) -> None:
    if comment.isprintable():
        assert hash_of_source(f"{SOURCE}# {comment}\n") == hash_of_source(SOURCE)


def test_every_version_of_python_gives_the_same_hash() -> None:
    """Taken with 3.11; 3.12 gave functions a field, 3.13 writes empty ones no more."""
    source = (
        "async def read(path, *, limit=None):\n    return [f'{path!r:>{limit}}', lambda: None]\n"
    )
    assert hash_of_source(source) == "54f9bcb2d6ae04ca43c920ec059c7f57"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("function.py").write_text("one")


def hashes(computed: list[str]) -> ModuleHashes:
    def compute(source: str) -> str:
        computed.append(source)
        return source.upper()

    return ModuleHashes(compute, Path("function.py"))


def hash_all(*sources: str) -> list[str]:
    """Return what had to be computed by a new process."""
    computed: list[str] = []
    found = hashes(computed)
    assert [found.of(source) for source in sources] == [source.upper() for source in sources]
    found.remember()
    return computed


def test_a_text_is_hashed_once_for_all_processes() -> None:
    assert hash_all("a", "b", "a") == ["a", "b"]
    assert hash_all("a", "b", "c") == ["c"]
    assert hash_all("a", "b") == []


def test_another_version_of_the_function_forgets_all() -> None:
    hash_all("a")
    Path("function.py").write_text("two")
    assert hash_all("a") == ["a"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 1, "hashes": 2}'])
def test_a_torn_file_is_made_again(content: str) -> None:
    hash_all("a")
    REMEMBERED.write_text(content)
    assert hash_all("a") == ["a"]
    assert hash_all("a") == []


def test_a_workspace_that_cannot_be_written_to_is_no_error() -> None:
    REMEMBERED.parent.parent.write_text("a file in the place of the folder")
    assert hash_all("a") == ["a"]
