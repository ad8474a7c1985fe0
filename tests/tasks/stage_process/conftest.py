"""Fixtures: a small workspace of real stages, as far as its texts are split."""

from pathlib import Path

import pytest

from tests.workspace import Workspace, make_workspace

STAGE = "split@topics"


@pytest.fixture(scope="session")
def split_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose texts are split, by a stage that waits for a device as a training does."""
    workspace = make_workspace(tmp_path_factory.mktemp("split") / "workspace")
    command = "cmd: exec python -m tasks.split ${key}\n"
    workspace.edit("dvc.yaml", command, f"{command}      meta: {{gpu: true}}\n")
    assert STAGE in workspace.repro(STAGE)
    return workspace


@pytest.fixture
def workspace(split_workspace: Workspace, tmp_path: Path) -> Workspace:
    """A copy to change."""
    return split_workspace.copy(tmp_path / "workspace")
