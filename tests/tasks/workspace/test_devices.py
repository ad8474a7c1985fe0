"""One training at a time on one device."""

import subprocess
import sys
from pathlib import Path

import pytest

from tasks.workspace.devices import device_indexes, device_lease


def test_visible_devices_are_those_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, 2")
    assert device_indexes() == ["0", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert device_indexes() == ["cpu"]


def test_two_leases_take_two_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    with device_lease() as first:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
        with device_lease() as second:
            assert (first, second) == ("4", "7")


HOLD = (
    "import sys, time; from tasks.workspace.devices import device_lease\n"
    "with device_lease(): print('held', flush=True); time.sleep(60)"
)


def test_a_killed_process_gives_its_device_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = str(Path(__file__).parents[3])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTHONPATH", root)
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiter = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert waiter.stderr is not None
    assert waiter.stderr.readline() == "waiting for a free device (all 1 in use)\n"
    holder.kill()
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == "held\n"
    waiter.kill()
    for process in (holder, waiter):
        process.communicate()
