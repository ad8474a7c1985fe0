"""Versions beside results."""

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from tasks.fingerprint import libraries


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_versions_of_now_are_kept_for_a_result_alone() -> None:
    assert not libraries.has_versions()
    libraries.keep_versions("finetune@m", "a" * 64)
    assert libraries.has_versions()
    then = libraries.versions_then("finetune@m", "a" * 64)
    assert then is not None
    assert then["torch"] == version("torch")
    assert then["python"] == platform.python_version()
    assert libraries.versions_then("finetune@m", "b" * 64) is None


def test_an_accepted_result_keeps_the_versions_it_was_made_with() -> None:
    path = Path(".downstream/libraries/finetune@m") / f"{'a' * 64}.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"torch": "1.0"}')
    libraries.carry_versions("finetune@m", "a" * 64, "b" * 64)
    assert libraries.versions_then("finetune@m", "b" * 64) == {"torch": "1.0"}
    libraries.carry_versions("finetune@m", "c" * 64, "d" * 64)
    assert libraries.versions_then("finetune@m", "d" * 64) is None


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_torn_file_is_as_good_as_none(content: str) -> None:
    libraries.keep_versions("finetune@m", "a" * 64)
    (path,) = Path(".downstream/libraries/finetune@m").iterdir()
    path.write_text(content)
    assert libraries.versions_then("finetune@m", "a" * 64) is None
