"""What a plan says of changed code after a short run, and what is recorded by it."""

import json
from typing import Any

from tests.flows.probe.conftest import EDITED
from tests.workspace import Workspace

PRETRAIN = "pretrain@small"
LATER = "finetune@label"


def probed(workspace: Workspace, *targets: str) -> dict[str, dict[str, Any]]:
    """Return the stages of ``plan --probe --json`` that are not fresh."""
    done = workspace.run("downstream", "plan", "--probe", "--json", *targets)
    assert done.returncode == 0, done.stdout + done.stderr
    stages = json.loads(done.stdout)["stages"]
    return {stage["name"]: stage for stage in stages if stage["state"] != "fresh"}


def test_code_that_gives_the_same_bytes_is_told_recorded_and_logged(workspace: Workspace) -> None:
    workspace.edit("tasks/training/loop.py", "        self._step = 0\n", EDITED)
    lock = workspace.lock()["stages"]
    stage = probed(workspace, PRETRAIN)[PRETRAIN]
    (reason,) = stage["reasons"]
    assert (reason["what"], reason["probe"]) == ("tasks.training.loop", "same")
    assert stage["probe"]["verdict"] == "same"
    assert stage["probe"]["before"].startswith("snapshot ")
    assert workspace.lock()["stages"] == lock

    done = workspace.run("downstream", "accept", "--probe", PRETRAIN, LATER)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not {PRETRAIN, LATER} & workspace.stale()
    lines = (workspace.root / "accepted.jsonl").read_text().splitlines()
    entry, later = map(json.loads, lines)
    assert (entry["stage"], later["stage"]) == (PRETRAIN, LATER)
    assert entry["probe"]["digest"] == stage["probe"]["digest"]
    assert entry["probe"].keys() == {"device", "digest", "before"}
    assert workspace.lock()["stages"][PRETRAIN]["outs"] == lock[PRETRAIN]["outs"]


def test_other_bytes_are_told_and_refused(workspace: Workspace) -> None:
    workspace.edit("tasks/training/optimizers.py", "BETAS = (0.9, 0.98)", "BETAS = (0.9, 0.981)")
    stage = probed(workspace, PRETRAIN)[PRETRAIN]
    assert stage["probe"]["verdict"] == "different"
    assert "model/model.safetensors" in stage["probe"]["why"]
    done = workspace.run("downstream", "accept", "--probe", PRETRAIN)
    assert done.returncode == 1
    assert f"{PRETRAIN}: not accepted: probe: different: " in done.stdout + done.stderr
    assert not (workspace.root / "accepted.jsonl").exists()


def test_equal_bytes_of_code_that_was_not_executed_clear_nothing(workspace: Workspace) -> None:
    workspace.edit(
        "tasks/training/loop.py",
        "            self._losses.append(mean)\n",
        "            if self._step > 4000:\n                mean = 0.0\n"
        "            self._losses.append(mean)\n",
    )
    stage = probed(workspace, PRETRAIN)[PRETRAIN]
    assert stage["probe"]["verdict"] == "none"
    assert any("_Training._ended" in line for line in stage["probe"]["why"])


def test_a_row_may_let_a_run_record_it_by_itself(workspace: Workspace) -> None:
    fresh = workspace.stale()
    workspace.edit("params.yaml", "  small:\n", "  small:\n    on_code_change: probe\n")
    assert workspace.stale() == fresh
    before = workspace.lock()["stages"][PRETRAIN]
    workspace.edit("tasks/training/loop.py", "self._step = 0\n", "self._step = int(0)\n")
    done = workspace.run("downstream", "run", PRETRAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{PRETRAIN}: not run: " in done.stdout + done.stderr
    assert f"{PRETRAIN} | started" not in done.stdout + done.stderr
    after = workspace.lock()["stages"][PRETRAIN]
    assert after["outs"] == before["outs"]
    assert after["deps"] != before["deps"]
