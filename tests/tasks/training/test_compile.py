"""``compile: true`` trains as without; a machine that has no compiler for it is told so."""

from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import files
from tests.tasks.training.jobs import Job

COMPILED: dict[str, Any] = {
    "objective": "reconstruction",
    "architecture": "dense_autoencoder",
    "dense_autoencoder": {"hidden_sizes": [16]},
    "training": {"epochs": 1, "batch_size": 50, "precision": "fp32", "compile": True},
}


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps what it compiles in a test; it finds nothing there of an earlier one."""
    folder = tmp_path / "kernels"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    # For these few kernels a pool of compilers costs more than it saves.
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    return folder


def test_a_machine_that_cannot_compile_is_told_what_to_do(
    images: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_compiled_training_learns_as_a_plain_one_does(
    images: tuple[Path, Path], tmp_path: Path, kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The processor's own list of what it can do is believed; torch compiles a program for each.
    monkeypatch.setenv("TORCHINDUCTOR_VEC_ISA_OK", "1")
    plain = {**COMPILED, "training": {**COMPILED["training"], "compile": False}}
    losses = []
    for name, settings in (("compiled", COMPILED), ("plain", plain)):
        job = Job(tmp_path / name, images, "pretrain", settings=settings)
        job.run()
        losses.append(files.read_json(job.output / "metrics.json")["training_loss"])
    assert list(kernels.rglob("*.so"))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
