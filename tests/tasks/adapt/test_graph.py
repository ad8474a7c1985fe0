"""Backbones that go on from others, and students, in DVC's graph: who is stale, what is left."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

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
  first:
    corpus: digits
    pretrain: {objective: reconstruction, architecture: autoencoder, training: {epochs: 1}}
adapted:
  second:
    backbone: first
    corpus: digits
    adapt: {objective: reconstruction, training: {epochs: 1}}
  a-third:
    backbone: second
    corpus: digits
    adapt: {objective: classification, training: {epochs: 1}}
students:
  small:
    teacher: label
    backbone: first
    corpus: digits
    distill: {}
models:
  small-label:
    backbone: small
    corpus: digits
    finetune: {epochs: 1, twin: false}
    evaluate: {}
    register: {}
  label:
    backbone: a-third
    corpus: digits
    finetune: {epochs: 1, twin: false}
    evaluate: {}
    register: {}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with a model of a chain of three backbones, and a student of it."""
    root = tmp_path_factory.mktemp("adapted") / "workspace"
    root.mkdir()
    lay_code(root)
    (root / "params.yaml").write_text(PARAMS)
    (root / "data" / "sources" / "digits").mkdir(parents=True)
    (root / "data" / "sources" / "digits" / "pin.json").write_text("{}\n")
    workspace = Workspace(root)
    workspace.repro("finetune@small-label")
    return workspace


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path) -> Workspace:
    """A copy of it."""
    return finished.copy(tmp_path / "workspace")


def changed(workspace: Workspace) -> dict[str, str]:
    """Return the state of each stage that is not fresh, of those that have run."""
    return {
        stage["name"]: stage["state"]
        for stage in workspace.plan()
        if stage["state"] != "fresh" and stage["name"] in workspace.lock()["stages"]
    }


def test_each_backbone_of_a_chain_is_made_from_the_one_before(finished: Workspace) -> None:
    stages = finished.lock()["stages"]
    for stage, backbone in (
        ("adapt@second", "first"),
        ("adapt@a-third", "second"),
        ("finetune@label", "a-third"),
        ("distill@small", "first"),
        ("finetune@small-label", "small"),
    ):
        read = [item["path"] for item in stages[stage]["deps"]]
        assert f"data/pretrain/{backbone}/model" in read
    assert "data/finetune/label/model" in {item["path"] for item in stages["distill@small"]["deps"]}
    assert changed(finished) == {}
    about = json.loads((finished.root / "data/finetune/label/model/downstream.json").read_text())
    assert about["labels_of"] == "digits"


def test_a_changed_first_backbone_makes_all_that_go_on_from_it_stale(
    workspace: Workspace,
) -> None:
    old = "architecture: autoencoder, training: {epochs: 1}"
    workspace.edit("params.yaml", old, old.replace("1", "2"))
    assert changed(workspace) == {
        "pretrain@first": "stale",
        "adapt@second": "waiting",
        "adapt@a-third": "waiting",
        "finetune@label": "waiting",
        "distill@small": "waiting",
        "finetune@small-label": "waiting",
    }


def test_a_changed_second_backbone_makes_nothing_stale_that_does_not_go_on_from_it(
    workspace: Workspace,
) -> None:
    old = "adapt: {objective: reconstruction, training: {epochs: 1}}"
    workspace.edit("params.yaml", old, old.replace("1", "2"))
    assert changed(workspace) == {
        "adapt@second": "stale",
        "adapt@a-third": "waiting",
        "finetune@label": "waiting",
        "distill@small": "waiting",
        "finetune@small-label": "waiting",
    }
    reasons = {stage["name"]: stage["reasons"] for stage in workspace.plan()}
    [reason] = reasons["adapt@second"]
    assert reason["what"] == "adapted.second.adapt.training.epochs"


def test_how_a_student_learns_is_its_own_business(workspace: Workspace) -> None:
    workspace.edit("params.yaml", "distill: {}", "distill: {temperature: 3.0}")
    assert changed(workspace) == {"distill@small": "stale", "finetune@small-label": "waiting"}
    workspace.edit("params.yaml", "distill: {temperature: 3.0}", "distill: {}")
    workspace.edit("tasks/finetune/distill.py", "IGNORED = -100", "IGNORED = -101")
    assert changed(workspace) == {"finetune@small-label": "stale"}


def test_a_changed_module_of_the_architecture_reaches_the_whole_chain(workspace: Workspace) -> None:
    old = "PARTS = ("
    workspace.edit("tasks/models/architectures/autoencoder.py", old, f"UNUSED = 0\n{old}")
    of_chain = {"pretrain@first", "adapt@second", "adapt@a-third"}
    assert {name for name, state in changed(workspace).items() if state == "stale"} >= of_chain


def test_what_is_left_of_rows_that_are_gone_is_removed(workspace: Workspace) -> None:
    params = yaml.safe_load(PARAMS)
    del params["adapted"], params["students"], params["models"]
    (workspace.root / "params.yaml").write_text(yaml.safe_dump({**params, "models": {}}))
    assert changed(workspace) == {}  # those that are left are as they were
    done = workspace.run("downstream", "clean")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in (workspace.root / "data/pretrain").glob("[!.]*")] == ["first"]
    assert not any(name.startswith(("adapt@", "distill@")) for name in workspace.lock()["stages"])
    shutil.rmtree(workspace.root / ".downstream")
    assert workspace.repro("pretrain@first") == set()
