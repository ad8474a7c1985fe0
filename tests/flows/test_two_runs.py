"""Two runs and a ``dvc repro`` in one workspace: no device twice, and one whole lock."""

import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from tests.flows.stage_pipeline import StagePipeline

ROWS = "ghijkl"
ON_TWO_DEVICES = "hk"


@pytest.fixture
def six_trainings(staged: StagePipeline, monkeypatch: pytest.MonkeyPatch) -> StagePipeline:
    params = staged.params()
    for row in ROWS:
        finetune = {"seconds": 1.5, "devices": 1 + (row in ON_TWO_DEVICES)}
        params["models"][row] = {"corpus": "a", "finetune": finetune, "evaluate": {}}
    staged.write_params(params)
    staged.repro("code")
    staged.events()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    return staged


def busy_devices(events: list[str]) -> list[list[str]]:
    """Return the devices in use after each event."""
    held: dict[str, list[str]] = {}
    found = []
    for event in events:
        what, name, *device = event.split()
        if what == "begin":
            held[name] = device[0].split(",")
            assert len(held[name]) == 1 + (name[-1] in ON_TWO_DEVICES)
        else:
            del held[name]
        found.append(sorted(chain.from_iterable(held.values())))
    return found


def test_never_more_trainings_than_devices_and_never_two_on_one(
    six_trainings: StagePipeline, prefect_api: str
) -> None:
    runs = [
        six_trainings.start_downstream("run", *(f"finetune@{row}" for row in rows), api=prefect_api)
        for rows in ("ghij", "jihg")
    ]
    dvc = [str(Path(sys.executable).parent / "dvc"), "--wait-for-lock"]
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    repro = subprocess.Popen(
        [*dvc, "repro", "-q", "-s", "finetune@k", "finetune@l"],
        cwd=six_trainings.root,
        env={**os.environ, "PATH": tools},
        stderr=subprocess.PIPE,
        text=True,
    )
    for process in (*runs, repro):
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
    events = six_trainings.events()
    busy = busy_devices(events)
    assert sorted(e.split()[1] for e in events if e.startswith("begin")) == [
        f"finetune@{row}" for row in ROWS
    ]
    assert max(len(devices) for devices in busy) == 3
    assert all(len(set(devices)) == len(devices) for devices in busy)
    assert "up to date" in six_trainings.dvc("status", *(f"finetune@{row}" for row in ROWS))
    assert six_trainings.held_locks() == []


def test_a_stage_that_asks_for_more_devices_than_there_are_says_so(
    six_trainings: StagePipeline,
) -> None:
    six_trainings.change("models.g.finetune.devices", 4)
    six_trainings.repro("code")
    command = [sys.executable, "run_finetune.py", "g"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "error: params.yaml: finetune@g asks for devices: 4, but may use 3 GPUs here (0, 1, 2): "
        "lower it, or run on a larger machine\n",
    )
    assert six_trainings.events() == []
