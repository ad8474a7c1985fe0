"""``compile: true`` learns the same. It is meant for GPUs, but a CPU with a compiler will do."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tasks.contracts import files
from tasks.pretrain import stage
from tasks.pretrain.settings import Settings
from tests.tasks.training.jobs import Job

# Small, and of batches of one size: each other one is compiled again.
PLAIN: dict[str, Any] = {
    "objective": "reconstruction",
    "architecture": "dense_autoencoder",
    "dense_autoencoder": {"hidden_sizes": [16]},
    "training": {"epochs": 3, "batch_size": 50, "precision": "fp32", "learning_rate": 1e-2},
}
COMPILED = {**PLAIN, "training": {**PLAIN["training"], "compile": True}}


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_training_agrees_with_a_plain_one(
    images: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = tmp_path / "kernels"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(kernels))
    job = Job(tmp_path / "compiled", images, "pretrain", settings=COMPILED)
    job.run("--rarely")
    assert list(kernels.rglob("*.so"))
    plain, settings = tmp_path / "plain", Settings.parse(PLAIN, "pretrain")
    stage.run("small", *images, plain, settings, 0, tmp_path / "checkpoints")
    one, two = (files.read_json(output / "metrics.json") for output in (plain, job.output))
    assert two["training_loss"] == pytest.approx(one["training_loss"], abs=1e-4)
    assert two["validation"] == pytest.approx(one["validation"], abs=1e-4)
    assert one["training_loss"][-1] < 0.6 * one["training_loss"][0]
    weights, others = (load_file(o / "model/model.safetensors") for o in (plain, job.output))
    assert all((value - others[name]).abs().max() < 1e-4 for name, value in weights.items())
