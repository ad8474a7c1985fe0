"""Data parallelism: two ranks do what one does."""

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.training.ranks import launch
from tests.tasks.training.jobs import BERT, Job


def test_two_ranks_agree_with_one_over_200_steps(texts: tuple[Path, Path], tmp_path: Path) -> None:
    sizes: dict[str, Any] = {**BERT["bert"], "dropout": 0.0}
    training = {"epochs": 9, "batch_size": 8, "precision": "fp32", "learning_rate": 1e-3}
    jobs = []
    for devices in (1, 2):
        settings = {**BERT, "bert": sizes, "training": {**training, "devices": devices}}
        jobs.append(Job(tmp_path / str(devices), texts, "pretrain", settings=settings))
        jobs[-1].run("--rarely")
    one, two = (files.read_json(job.output / "metrics.json") for job in jobs)
    assert two["training_loss"] == pytest.approx(one["training_loss"], abs=1e-3)
    assert two["validation"]["loss"] == pytest.approx(one["validation"]["loss"], abs=1e-3)
    weights = [load_file(job.output / "model" / "model.safetensors") for job in jobs]
    furthest = max(
        float((value - weights[1][name]).abs().max()) for name, value in weights[0].items()
    )
    assert 0 < furthest < 1e-3


def refuse(what: str) -> None:
    raise BadInput(f"{what} is not to be had: choose another")


def test_what_a_rank_raises_is_raised_here() -> None:
    with pytest.raises(BadInput, match=r"^the corpus is not to be had: choose another$"):
        launch(2, refuse, "the corpus")
