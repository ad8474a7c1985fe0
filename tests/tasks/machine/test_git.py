"""git, run and asked."""

import subprocess
from pathlib import Path

import pytest

from tasks.errors import StageFailed
from tasks.machine.git import ask_git, git, run_command


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def test_git_runs_in_the_folder_it_is_given(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "inner")
    (tmp_path / "inner" / "Käse").touch()
    listed = git(tmp_path / "inner", "-c", "core.quotePath=false", "status", "--porcelain")
    assert listed == "?? Käse"


def test_its_last_line_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"^git log in .*: fatal: not a git repository"):
        git(tmp_path, "log")
    with pytest.raises(StageFailed, match=r"^false in .*: exit code 1$"):
        run_command("false", ["false"], tmp_path)


def test_what_git_cannot_tell_is_none_and_an_empty_answer_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ask_git("status", "--porcelain") is None
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert ask_git("status", "--porcelain") == ""
    assert ask_git("rev-parse", "--verify", "HEAD") is None
    monkeypatch.setenv("PATH", "")
    assert ask_git("status", "--porcelain") is None
