"""Where a result comes from is found, or left out."""

import json
import subprocess
from pathlib import Path

import torch

from tasks.contracts import files, paths
from tasks.tracking.runs.provenance import provenance, uncommitted


def _git(*arguments: str) -> str:
    identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_without_a_repository_only_the_libraries_are_known(empty_workspace: Path) -> None:
    tags = provenance("evaluate", "topics")
    assert list(tags) == ["downstream.libraries"]
    assert json.loads(tags["downstream.libraries"])["torch"] == torch.__version__


def test_the_commit_and_what_was_changed_since_are_told(empty_workspace: Path) -> None:
    _git("init", "-q")
    Path("a.txt").write_text("one\n")
    _git("add", "a.txt")
    _git("commit", "-q", "-m", "first")
    tags = provenance("evaluate", "topics")
    assert tags["mlflow.source.git.commit"] == _git("rev-parse", "HEAD")
    assert tags["downstream.git_dirty"] == "false"
    assert uncommitted() == ""
    Path("a.txt").write_text("two\n")
    assert provenance("evaluate", "topics")["downstream.git_dirty"] == "true"
    assert "-one\n+two" in uncommitted()


def test_a_repository_without_a_commit_has_none_to_tell(empty_workspace: Path) -> None:
    _git("init", "-q")
    assert list(provenance("evaluate", "topics")) == ["downstream.libraries"]
    assert uncommitted() == ""


def test_the_fingerprint_of_the_code_is_told(empty_workspace: Path) -> None:
    files.write_text(paths.code("evaluate", "topics"), "tasks.evaluate 1234\n")
    found = provenance("evaluate", "topics")["downstream.code"]
    assert found == files.sha256(paths.code("evaluate", "topics"))
