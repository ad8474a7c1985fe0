"""Who acts is the reviewer of the environment, git's user, or whoever is logged in."""

import getpass
import subprocess
from pathlib import Path

import pytest

from tasks.machine.actor import actor


def test_the_environment_comes_before_git_and_git_before_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOWNSTREAM_REVIEWER", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert actor() == getpass.getuser()
    subprocess.run(["git", "config", "user.name", "Ann"], check=True)
    assert actor() == "Ann"
    subprocess.run(["git", "config", "user.email", "ann@example.org"], check=True)
    assert actor() == "Ann <ann@example.org>"
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", " Bob ")
    assert actor() == "Bob"
