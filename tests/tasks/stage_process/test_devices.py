"""One training at a time on one device, and all the devices that a training asks for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tasks.contracts.params import read_params, stage_settings
from tasks.errors import BadInput
from tasks.stage_process.devices import device_indexes, device_lease

ROOT = Path(__file__).parents[3]

HOLD = """
import os, sys, time
from tasks.stage_process.devices import device_lease

with device_lease("pretrain@x", int(sys.argv[1])):
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    time.sleep(float(sys.argv[2]))
    print("free", flush=True)
"""

Holders = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Holders]:
    """Start processes that hold so many devices for so many seconds, in one workspace."""
    started: list[subprocess.Popen[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def start(wanted: int, seconds: float = 60) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLD, str(wanted), str(seconds)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_line(stream: Any) -> str:
    return str(stream.readline()).rstrip()


@pytest.mark.parametrize(
    ("visible", "indexes"),
    [("0, 2", ["0", "2"]), ("", ["cpu"]), ("-1", ["cpu"]), ("3,-1,4", ["3"]), ("5,5", ["5"])],
)
def test_visible_devices_are_those_that_may_be_used(
    visible: str, indexes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_indexes() == indexes


def test_the_number_of_devices_is_that_of_the_resolved_settings() -> None:
    params = read_params(ROOT / "params.yaml")
    backbone, model = params["backbones"]["reuters-bert"], params["models"]["reuters-topics"]

    def wanted(stage: str, row: str) -> int:
        return stage_settings(params, stage, row).num_devices()

    assert (wanted("pretrain", "reuters-bert"), wanted("finetune", "reuters-topics")) == (1, 1)
    backbone["pretrain"].setdefault("training", {})["devices"] = 3
    model["finetune"]["devices"] = 2
    assert (wanted("pretrain", "reuters-bert"), wanted("finetune", "reuters-topics")) == (3, 2)
    assert wanted("evaluate", "reuters-topics") == 1


def test_a_lease_takes_what_it_asks_for_and_shows_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
    with device_lease("pretrain@x", 1) as first:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "4"
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,7")
        with device_lease("pretrain@y", 2) as second:
            assert (first, second) == (["4"], ["5", "7"])
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"


def test_more_devices_than_there_are_is_an_error_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    expected = (
        r"^params\.yaml: pretrain@x asks for devices: 3, but may use 2 GPUs here \(4, 7\): "
        "lower it, or run on a larger machine$"
    )
    # Whoever holds them now, no waiting helps.
    with device_lease("pretrain@y", 2):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
        with pytest.raises(BadInput, match=expected), device_lease("pretrain@x", 3):
            pass


def test_without_a_gpu_any_number_of_processes_is_one_slot(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with device_lease("pretrain@x", 4) as held:
        assert held == ["cpu"]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_a_killed_process_gives_its_device_back(
    holder: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    holds = holder(1)
    assert first_line(holds.stdout) == ""
    waits = holder(1)
    assert first_line(waits.stderr) == "waiting for 1 of 1 devices to be free"
    holds.kill()
    assert first_line(waits.stdout) == ""


def test_whoever_waits_for_two_devices_keeps_none_from_the_others(
    holder: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    single = holder(1)
    assert first_line(single.stdout) == "4"
    double = holder(2)
    assert first_line(double.stderr) == "waiting for 2 of 2 devices to be free"
    other = holder(1)
    assert first_line(other.stdout) == "7"
    single.kill()
    other.kill()
    assert first_line(double.stdout) == "4,7"


def test_trainings_that_each_want_all_devices_take_turns(
    holder: Holders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    trainings = [holder(2, 0.1) for _ in range(4)]
    for training in trainings:
        out, _ = training.communicate(timeout=60)
        assert (training.returncode, out.split()) == (0, ["4,7", "free"])
    for index in ("4", "7"):
        FileLock(f".downstream/devices/{index}.lock", timeout=0).acquire()
