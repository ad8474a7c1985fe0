"""What counts as a change of a module, and that its hash is computed once a text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.fingerprint.syntax_hash import REMEMBERED, Remembered, hash_of_source

SOURCE = '''
"""A module."""
from __future__ import annotations
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from tasks.errors import BadInput
from tasks.progress import say
from other import tell
if TYPE_CHECKING:
    from pathlib import Path
LIMIT = 3

class Point:
    size: int = 4

@lru_cache
def double(value: int, *rest: Any) -> int:
    """Double it."""
    if value > LIMIT:
        raise BadInput(f"{value} is too large") from None
    doubled: int = 2 * value
    say("doubled")
    tell("doubled")
    return doubled
'''


def hash_with(old: str, new: str) -> str:
    assert SOURCE.count(old) == 1
    return hash_of_source(SOURCE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Double it."""', '"""Return twice the value."""'),
        ("LIMIT = 3", "LIMIT = 3  # the largest"),
        ("= 2 * value", "= (\n        2 * value\n    )"),
        ('f"{value} is too large"', 'f"{value!r} is over {LIMIT}: lower {rest[0]}"'),
        (" from None", ""),
        ('say("doubled")', 'say(f"doubled {value}")'),
        ("    doubled: int = 2 * value", "    doubled = 2 * value"),
        ("(value: int, *rest: Any) -> int", "(value, *rest: list[Path])"),
        ("    from pathlib import Path", "    from torch import Tensor"),
        ("TYPE_CHECKING, Any", "TYPE_CHECKING, Any, Literal"),
        ("LIMIT = 3", "from pydantic import Field\nLIMIT = 3"),
    ],
)
def test_what_cannot_reach_an_output_is_not_hashed(old: str, new: str) -> None:
    assert hash_with(old, new) == hash_of_source(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("2 * value", "3 * value"),
        ("value > LIMIT", "value >= LIMIT"),
        ("raise BadInput(", "raise ValueError("),
        ('f"{value} is too large"', 'f"{value} is too large", (value := 1)'),
        ('f"{value} is too large"', 'f"{tell(value)} is too large"'),
        (" from None", " from tell(value)"),
        ('say("doubled")', 'say(tell("doubled"))'),
        ('say("doubled")', 'say(f"{list(rest)}")'),
        ('tell("doubled")', 'tell("doubled it")'),
        ("size: int = 4", "size: float = 4"),
        ("(value: int, *rest: Any)", "(value: int = 3, *rest: Any)"),
        ("(value: int, *rest: Any)", "(value: int, *rest: tell())"),
        ("    doubled: int = 2 * value", "    doubled: int"),
        ("@lru_cache\n", "@tell\n"),
        ("from other import tell", "from others import tell"),
        ("from tasks.progress import say", "from other import say"),
        ("LIMIT = 3", "from pydantic import Field as len\nLIMIT = 3"),
        ("from tasks.errors import BadInput", "from other import BadInput"),
    ],
)
def test_what_can_reach_an_output_is_hashed(old: str, new: str) -> None:
    assert hash_with(old, new) != hash_of_source(SOURCE)


def test_the_text_of_an_error_of_our_own_kind_is_hashed_since_its_class_may_use_it() -> None:
    raising = "class Ended(Exception): ...\nraise Ended({!r})\n"
    assert hash_of_source(raising.format("a")) != hash_of_source(raising.format("b"))
    # What it ends with is the value that a generator returns.
    stopping = "def f():\n    raise StopIteration({!r})\n"
    assert hash_of_source(stopping.format("a")) != hash_of_source(stopping.format("b"))


def test_annotations_that_a_decorator_may_look_at_are_hashed() -> None:
    decorated = "from pydantic import validate_call\n@validate_call\ndef f(x: {}): return x\n"
    assert hash_of_source(decorated.format("int")) != hash_of_source(decorated.format("float"))


@given(comment=st.text(st.characters(codec="utf-8", exclude_characters="\r\n\f"), max_size=30))
def test_any_comment_leaves_the_hash(comment: str) -> None:
    if comment.isprintable():
        assert hash_of_source(f"{SOURCE}# {comment}\n") == hash_of_source(SOURCE)


def test_every_version_of_python_gives_the_same_hash() -> None:
    """Taken with 3.11; 3.12 gave functions a field, 3.13 writes empty ones no more."""
    source = (
        "async def read(path, *, limit=None):\n    return [f'{path!r:>{limit}}', lambda: None]\n"
    )
    assert hash_of_source(source) == "4f482fd61879cee5925533a7857c5314"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("code").mkdir()
    Path("code/function.py").write_text("one")


def compute_all(*sources: str) -> list[str]:
    """Return what had to be computed by a new process."""
    computed: list[str] = []

    def compute(source: str) -> str:
        computed.append(source)
        return source.upper()

    found = Remembered(Path("code"))
    for source in sources:
        assert found.of(source, "upper", compute) == source.upper()
    found.remember()
    return computed


def test_a_text_is_hashed_once_for_all_processes() -> None:
    assert compute_all("a", "b", "a") == ["a", "b"]
    assert compute_all("a", "b", "c") == ["c"]
    assert compute_all("a", "b") == []


def test_what_else_is_computed_of_a_text_is_another_result() -> None:
    found = Remembered(Path("code"))
    assert found.of("a", "upper", str.upper) == "A"
    assert found.of("a", "length", len) == 1


def test_another_version_of_the_code_forgets_all() -> None:
    compute_all("a")
    Path("code/function.py").write_text("two")
    assert compute_all("a") == ["a"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"version": 1, "results": 2}'])
def test_a_torn_file_is_made_again(content: str) -> None:
    compute_all("a")
    REMEMBERED.write_text(content)
    assert compute_all("a") == ["a"]
    assert compute_all("a") == []


def test_a_workspace_that_cannot_be_written_to_is_no_error() -> None:
    REMEMBERED.parent.parent.mkdir()
    REMEMBERED.parent.write_text("a file where a folder would have to be")
    assert compute_all("a") == ["a"]
