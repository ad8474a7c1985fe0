"""Exact resume: killed at any moment and run again, a training ends in the same bytes."""

import signal
from pathlib import Path

import pytest

from tasks.contracts import files
from tests.tasks.training.jobs import BERT, Job

FINETUNE = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3}
RESUMED = "goes on from the checkpoint of step"


@pytest.fixture(scope="module")
def backbone(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretraining that nothing has disturbed."""
    job = Job(tmp_path_factory.mktemp("undisturbed"), texts, "pretrain", settings=BERT)
    job.run()
    return job.output


def test_a_pretraining_killed_twice_ends_in_the_same_bytes(
    texts: tuple[Path, Path], backbone: Path, tmp_path: Path
) -> None:
    job = Job(tmp_path, texts, "pretrain", settings=BERT)
    job.kill()
    job.kill()
    assert RESUMED in job.run()
    assert files.sha256_of_folder(job.output) == files.sha256_of_folder(backbone)


def test_a_finetuning_killed_twice_ends_in_the_same_bytes(
    texts: tuple[Path, Path], backbone: Path, tmp_path: Path
) -> None:
    killed, undisturbed = (
        Job(tmp_path / name, texts, "finetune", settings=FINETUNE, backbone=backbone / "model")
        for name in ("killed", "undisturbed")
    )
    killed.kill()
    killed.kill()
    assert RESUMED in killed.run()
    undisturbed.run()
    one, two = (files.sha256_of_folder(job.output) for job in (killed, undisturbed))
    assert one == two


def test_two_ranks_killed_and_preempted_end_in_the_same_bytes(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = {**BERT, "training": {**BERT["training"], "devices": 2}}
    undisturbed, killed = (
        Job(tmp_path / name, texts, "pretrain", settings=settings)
        for name in ("undisturbed", "killed")
    )
    undisturbed.run()
    killed.kill()
    assert "stopped by SIGTERM" in killed.kill(signal.SIGTERM)
    assert RESUMED in killed.run()
    one, two = (files.sha256_of_folder(job.output) for job in (undisturbed, killed))
    assert one == two
