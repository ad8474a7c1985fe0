"""Exact resume: killed at any moment and run again, a training ends in the same bytes.

So do its curves: no step is missing, and none is there twice.
"""

import signal
from pathlib import Path

import pytest

from tasks.contracts import files
from tests.tasks.training.jobs import BERT, Job

FINETUNE = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3}
RESUMED = "goes on from the checkpoint of step"


@pytest.fixture(scope="module")
def undisturbed(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A pretraining that nothing has disturbed."""
    job = Job(tmp_path_factory.mktemp("undisturbed"), texts, "pretrain", settings=BERT)
    job.run()
    return job


def test_a_pretraining_killed_twice_ends_in_the_same_bytes(
    texts: tuple[Path, Path], undisturbed: Job, tmp_path: Path
) -> None:
    job = Job(tmp_path, texts, "pretrain", settings=BERT)
    job.kill()
    job.kill()
    assert RESUMED in job.run()
    assert files.sha256_of_folder(job.output) == files.sha256_of_folder(undisturbed.output)
    assert len(job.curve()) > 10
    assert job.curve() == undisturbed.curve()


def test_a_finetuning_killed_twice_ends_in_the_same_bytes(
    texts: tuple[Path, Path], undisturbed: Job, tmp_path: Path
) -> None:
    backbone = undisturbed.output / "model"
    killed, whole = (
        Job(tmp_path / name, texts, "finetune", settings=FINETUNE, backbone=backbone)
        for name in ("killed", "undisturbed")
    )
    killed.kill()
    killed.kill()
    assert RESUMED in killed.run()
    whole.run()
    one, two = (files.sha256_of_folder(job.output) for job in (killed, whole))
    assert one == two
    assert {"model.validation.accuracy", "twin.loss"} <= {name for name, _, _ in whole.curve()}
    assert killed.curve() == whole.curve()


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
    assert killed.curve() == undisturbed.curve()
