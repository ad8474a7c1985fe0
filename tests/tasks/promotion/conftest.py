"""Workspaces with registered models: one to be reviewed, one whose lineage is whole."""

import shutil
from pathlib import Path

import pytest

from tests.tasks.promotion.chain import MODEL, lay_chain
from tests.tasks.promotion.scene import Scene, enter, make_models


@pytest.fixture(scope="session")
def made_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small text classifiers, by name."""
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def scene(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made_models: dict[str, Path],
    new_store: Path,
) -> Scene:
    """A workspace with a store and test records, which is the current folder."""
    enter(tmp_path, monkeypatch)
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", "Ann")
    shutil.copy(new_store, tmp_path / "mlflow.db")
    found = Scene(made_models)
    found.lay()
    return found


@pytest.fixture(scope="session")
def reviewed_workspace(
    made_models: dict[str, Path], new_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A workspace with a champion, and a candidate that waits for a decision; to be copied."""
    folder = tmp_path_factory.mktemp("reviewed") / "workspace"
    folder.mkdir()
    shutil.copy(new_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        Scene(made_models).lay_reviewed()
    return folder


@pytest.fixture
def reviewed(
    reviewed_workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    made_models: dict[str, Path],
) -> Scene:
    """A copy of that workspace, which is the current folder."""
    folder = tmp_path / "workspace"
    shutil.copytree(reviewed_workspace, folder)
    enter(folder, monkeypatch)
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", "Ann")
    return Scene(made_models)


@pytest.fixture(scope="session")
def registered_chain(new_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a registered model and all that it was made from; to be copied."""
    from tasks.tracking.registry.registry import reconcile

    folder = tmp_path_factory.mktemp("chain") / "workspace"
    folder.mkdir()
    shutil.copy(new_store, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        lay_chain()
        assert reconcile([MODEL]) == {MODEL: 1}
    return folder


@pytest.fixture
def chain(registered_chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that workspace, which is the current folder."""
    folder = tmp_path / "workspace"
    shutil.copytree(registered_chain, folder)
    enter(folder, monkeypatch)
    return folder
