"""What the machine does."""

from pathlib import Path

import pytest

from tasks.tracking.runs.system import figures

ROWS = "37, 1000, 24000\n0, 512, 24000\n"


def test_cpu_and_memory_are_figures_in_their_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = figures()
    assert list(found) == [
        "cpu_utilization_percentage",
        "system_memory_usage_megabytes",
        "system_memory_usage_percentage",
        "stage_memory_usage_megabytes",
    ]
    assert 0 <= found["cpu_utilization_percentage"] <= 100
    own, whole = found["stage_memory_usage_megabytes"], found["system_memory_usage_megabytes"]
    assert 10 < own < whole * 2


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            ROWS,
            {
                "gpu_0_utilization_percentage": 37.0,
                "gpu_0_memory_usage_megabytes": pytest.approx(1048.576),
                "gpu_0_memory_usage_percentage": pytest.approx(4.1667, abs=1e-3),
                "gpu_1_utilization_percentage": 0.0,
                "gpu_1_memory_usage_megabytes": pytest.approx(536.870912),
                "gpu_1_memory_usage_percentage": pytest.approx(2.1333, abs=1e-3),
            },
        ),
        ("[N/A], 1, 2\n", {}),
    ],
    ids=["two GPUs", "a driver that does not know"],
)
def test_gpus_are_those_that_the_stage_may_use(
    rows: str, expected: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver's program, as far as it is asked: no machine of ours has a GPU.
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nprintf "{rows}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
    found = {name: value for name, value in figures().items() if name.startswith("gpu")}
    assert found == expected
    assert (tmp_path / "asked").read_text().endswith("--id=1,3\n")
