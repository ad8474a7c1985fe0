"""One training at a time on one device, and all the devices that a training asks for."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from flows.orchestration.clone import share_state
from tasks.contracts.params import read_params, stage_settings
from tasks.errors import BadInput
from tasks.stage_process.devices import FOLDER, device_lease, usable_devices

ROOT = Path(__file__).parents[3]

HOLD = """
import os, sys, time
from tasks.stage_process.devices import device_lease

with device_lease("pretrain@x", int(sys.argv[1])):
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    time.sleep(float(sys.argv[2]))
    print("free", flush=True)
"""

DRIVER = """#!/bin/sh
echo 'GPU 0: NVIDIA A100 (UUID: GPU-aa-11)'
echo '  MIG 3g.40gb     Device  0: (UUID: MIG-bb-1)'
echo '  MIG 3g.40gb     Device  1: (UUID: MIG-bb-2)'
echo 'GPU 1: NVIDIA H200 (UUID: GPU-cc-22)'
echo 'GPU 2: NVIDIA H200 (UUID: GPU-cc-33)'
"""

Holders = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def leases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return this test's own folder for the leases of a machine, not made yet."""
    folder = tmp_path / "leases"
    monkeypatch.setenv(FOLDER, str(folder))
    return folder


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the machine have three GPUs, the first of them divided."""
    program = tmp_path / "tools" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(DRIVER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Holders]:
    """Start processes that hold so many devices for so many seconds, in one workspace."""
    started: list[subprocess.Popen[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def start(wanted: int, seconds: float = 60, clone: Path = tmp_path) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", HOLD, str(wanted), str(seconds)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=clone, stdout=pipe, stderr=pipe, text=True))
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
    assert usable_devices() == indexes


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["MIG-bb-1", "MIG-bb-2", "GPU-cc-22", "GPU-cc-33"]),
        ("1,GPU-cc-22,GPU-cc-2,2", ["GPU-cc-22", "GPU-cc-33"]),
        ("0,MIG-bb-2,GPU-aa-11", ["MIG-bb-1", "MIG-bb-2"]),
        ("2,3,1", ["GPU-cc-33"]),
        ("GPU-dd", ["cpu"]),
    ],
)
def test_an_index_and_a_uuid_of_one_gpu_are_one_device(
    visible: str | None, uuids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert usable_devices() == uuids


@pytest.mark.usefixtures("driver")
def test_two_clones_do_not_take_one_gpu_whatever_they_call_it(
    holder: Holders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, leases: Path
) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    first = holder(1)
    assert first_line(first.stdout) == "GPU-cc-22"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-cc-22")
    second = holder(1, clone=clone)
    assert first_line(second.stderr) == "waiting for 1 of 1 devices to be free"
    first.kill()
    assert first_line(second.stdout) == "GPU-cc-22"
    assert leases.stat().st_mode & 0o7777 == 0o1777
    assert (leases / "GPU-cc-22.lock").stat().st_mode & 0o7777 == 0o666


def test_the_slot_of_a_machine_without_a_gpu_is_the_workspaces(
    holder: Holders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, leases: Path
) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for place in (tmp_path, clone):
        assert first_line(holder(1, clone=place).stdout) == ""
    assert not leases.exists()


def test_the_slot_of_a_clone_that_shares_a_workspaces_leases_is_that_workspaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    workspace, clone = tmp_path / "workspace", tmp_path / "clone"
    for root in (workspace, clone):
        root.mkdir()
    share_state(workspace, clone)
    monkeypatch.chdir(clone)
    with device_lease("pretrain@x", 1):
        assert [lock.name for lock in (workspace / ".downstream/devices").iterdir()]


def test_a_planted_link_or_pipe_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, leases: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    victim = tmp_path / "victim"
    leases.mkdir()
    (leases / "4.lock").symlink_to(victim)
    with pytest.raises(
        BadInput, match=r"^4\.lock: this lease .* name another by DOWNSTREAM_DEVICES$"
    ):
        device_lease("pretrain@x", 1).__enter__()
    assert not victim.exists()
    (leases / "4.lock").unlink()
    os.mkfifo(leases / "4.lock")
    with pytest.raises(BadInput, match="it is no plain file"):
        device_lease("pretrain@x", 1).__enter__()
    monkeypatch.delenv(FOLDER)
    monkeypatch.setattr("tasks.stage_process.devices.MACHINE_FOLDER", tmp_path / "link")
    (tmp_path / "link").symlink_to(leases)
    with pytest.raises(BadInput, match=r"link: the leases on devices cannot be kept there"):
        device_lease("pretrain@x", 1).__enter__()


def test_no_cleaner_of_old_files_goes_through_the_folder_while_a_lease_is_held(
    monkeypatch: pytest.MonkeyPatch, leases: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    with device_lease("pretrain@x", 1):
        # What systemd-tmpfiles does first.
        folder = os.open(leases, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(folder)


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
        FileLock(Path(os.environ[FOLDER], f"{index}.lock"), timeout=0).acquire()
