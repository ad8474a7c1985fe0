"""NVIDIA's driver, asked."""

from pathlib import Path

import pytest

from tasks.machine.gpus import list_gpus, query_gpus


def test_without_a_driver_there_are_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert query_gpus("index") == []
    assert list_gpus() == {}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('printf "0, 24000\\n1, 512\\n"', [["0", "24000"], ["1", "512"]]),
        ("echo no devices were found; exit 6", []),
        ("exec sleep 60", []),
    ],
    ids=["two GPUs", "an error", "a driver that hangs"],
)
def test_each_gpu_is_a_row_of_cells(
    script: str, expected: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert query_gpus("index,memory.total", timeout_seconds=1) == expected


def test_a_divided_gpu_is_listed_with_its_instances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'GPU 0: NVIDIA A100 (80 GB) (UUID: GPU-aa-1)'\n"
        "echo '  MIG 3g.40gb     Device  0: (UUID: MIG-bb-1)'\n"
        "echo '  MIG 3g.40gb     Device  1: (UUID: MIG-bb-2)'\n"
        "echo 'GPU 1: NVIDIA H200 (UUID: GPU-cc)'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert list_gpus() == {"GPU-aa-1": ["MIG-bb-1", "MIG-bb-2"], "GPU-cc": ["GPU-cc"]}
