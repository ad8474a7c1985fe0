"""Which workspace a command acts on."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.checkout import RESTARTED, enter_workspace, find_root
from tasks.errors import DownstreamError
from tests.flows.pipeline import ROOT, Pipeline


def test_the_nearest_workspace_upwards_is_the_one(installed: Pipeline) -> None:
    assert find_root(installed.root / "data" / "sources") == installed.root


def test_a_folder_with_dvc_yaml_alone_is_none(pipeline: Pipeline) -> None:
    with pytest.raises(DownstreamError, match="is not inside a downstream workspace"):
        find_root(pipeline.root)


def test_the_own_workspace_is_entered_from_any_folder_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT / "tests")
    assert enter_workspace(["plan"]) == ROOT
    assert Path.cwd() == ROOT


def test_inside_another_checkout_that_ones_code_runs(installed: Pipeline) -> None:
    """The installed command belongs to this checkout; the other one's ``current.py`` differs."""
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from flows.cli.app import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "plan", "--check", "--json"],
        cwd=installed.root / "data",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"clean@a"' in done.stdout


def test_a_restart_that_changes_nothing_is_an_error_and_no_endless_loop(
    installed: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RESTARTED, "1")
    with pytest.raises(DownstreamError, match="has its own flows/, but Python imports"):
        enter_workspace(["plan"])
