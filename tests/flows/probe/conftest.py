"""A workspace with one small backbone and one model of it, whose stages have run."""

from pathlib import Path

import pytest

from tests.workspace import Workspace, lay_code

PARAMS = """\
seed: 0
corpora:
  digits:
    collect: {sources: [{kind: sklearn}]}
    clean: {}
    split: {test: 0.3}
    validate: {}
backbones:
  small:
    corpus: digits
    pretrain:
      objective: reconstruction
      architecture: autoencoder
      training: {epochs: 1}
models:
  label:
    backbone: small
    corpus: digits
    finetune: {epochs: 1, twin: false}
    evaluate: {bootstrap_samples: 100, shown_examples: 0}
    register: {}
"""
EDITED = "        begun = 0\n        self._step = begun\n"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace, finished."""
    root = tmp_path_factory.mktemp("probed") / "workspace"
    root.mkdir()
    lay_code(root)
    (root / "params.yaml").write_text(PARAMS)
    (root / "data" / "sources" / "digits").mkdir(parents=True)
    (root / "data" / "sources" / "digits" / "pin.json").write_text("{}\n")
    workspace = Workspace(root)
    workspace.repro("finetune@label")
    # The code of the results is probed once, not in every copy.
    edit = ("tasks/training/loop.py", "        self._step = 0\n", EDITED)
    workspace.edit(*edit)
    assert workspace.run("downstream", "plan", "--probe", "finetune@label").returncode == 0
    workspace.edit(edit[0], edit[2], edit[1])
    return workspace


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of it, which is the current directory."""
    copy = finished.copy(tmp_path / "workspace")
    monkeypatch.chdir(copy.root)
    return copy
