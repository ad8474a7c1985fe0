"""``compile: true`` is meant for GPUs; a machine that has no compiler for it is told so."""

from pathlib import Path

import pytest

from tests.tasks.training.jobs import Job

COMPILED = {
    "objective": "reconstruction",
    "architecture": "dense_autoencoder",
    "dense_autoencoder": {"hidden_sizes": [16]},
    "training": {"epochs": 1, "batch_size": 50, "precision": "fp32", "compile": True},
}


def test_a_machine_that_cannot_compile_is_told_what_to_do(
    images: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no g++
    monkeypatch.delenv("CXX", raising=False)
    job = Job(tmp_path / "compiled", images, "pretrain", settings=COMPILED)
    with job._start("--rarely") as process:
        printed, _ = process.communicate()
    assert process.returncode != 0
    assert (
        "BadSettings: compile: true, but torch cannot compile here (InvalidCxxCompiler: No working "
        "C++ compiler found"
    ) in printed
    assert "install a C++ compiler (g++), or set compile: false" in printed
    assert not job.output.exists()
