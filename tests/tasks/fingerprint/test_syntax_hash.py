"""Hashes computed once a text."""

from pathlib import Path

import pytest

from tasks.fingerprint.syntax_hash import REMEMBERED, ModuleHashes


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
