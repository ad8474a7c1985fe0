"""Exact resume: killed at any moment and run again, a training ends in the same bytes.

So do its curves: no step is missing, and none is there twice. The moments are random
(``kills.py``), one in each half of the training's time, or one in all of it; a fault
names them, and their seed.
"""

from pathlib import Path

import pytest

from tests.tasks.training.jobs import BERT, SAVED, Checkpoint, Job
from tests.tasks.training.kills import (
    RANDOM,
    Kill,
    everything,
    fault_when_killed,
    launcher_alone,
    moments_of,
    one_rank,
    preempt,
)

FINETUNE = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def pretraining(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A pretraining that nothing has disturbed."""
    job = Job(tmp_path_factory.mktemp("undisturbed"), texts, "pretrain", settings=BERT)
    job.run()
    return job


@pytest.fixture(scope="module")
def on_two_ranks(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A pretraining on two ranks that nothing has disturbed, of a BERT and its generator."""
    settings = {
        **{name: value for name, value in BERT.items() if name != "masked"},
        "objective": "replaced",
        "replaced": BERT["masked"],
        "training": {**BERT["training"], "devices": 2},
    }
    job = Job(tmp_path_factory.mktemp("ranks"), texts, "pretrain", settings=settings)
    job.run()
    return job


def test_a_pretraining_killed_twice_ends_in_the_same_bytes(
    pretraining: Job, tmp_path: Path
) -> None:
    assert len(pretraining.curve()) > 10
    assert fault_when_killed(pretraining, tmp_path, (everything, everything)) is None


def test_a_finetuning_killed_twice_ends_in_the_same_bytes(
    texts: tuple[Path, Path], pretraining: Job, tmp_path: Path
) -> None:
    backbone = pretraining.output / "model"
    settings = {**FINETUNE, "epochs": 2, "wide": {"words": [1, 2]}, "refit": True}
    undisturbed = Job(
        tmp_path / "undisturbed", texts, "finetune", settings=settings, backbone=backbone
    )
    undisturbed.run()
    assert {"model.validation.accuracy", "twin.loss"} <= {
        name for name, _, _ in undisturbed.curve()
    }
    assert fault_when_killed(undisturbed, tmp_path, (everything, everything)) is None


def test_a_training_by_sgd_with_dropout_that_is_killed_ends_in_the_same_bytes(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = {
        "objective": "classification",
        "architecture": "convnet",
        "convnet": {"channels": 8, "blocks": [2, 2], "max_pooling": True, "dropout": 0.25},
        "training": {
            "epochs": 6,
            "learning_rate": 0.05,
            "sgd": {"momentum": 0.9, "nesterov": True},
        },
    }
    undisturbed = Job(tmp_path / "undisturbed", images, "pretrain", settings=settings)
    undisturbed.run()
    assert fault_when_killed(undisturbed, tmp_path, (everything,)) is None


@pytest.mark.parametrize(
    "kills",
    [(everything, one_rank), (preempt, launcher_alone)],
    ids=["all, then one rank", "preempted, then the launcher"],
)
def test_two_ranks_killed_twice_end_in_the_same_bytes(
    on_two_ranks: Job, tmp_path: Path, kills: tuple[Kill, Kill]
) -> None:
    assert fault_when_killed(on_two_ranks, tmp_path, kills) is None


def test_a_finetuning_is_killed_in_all_of_its_trainings(tmp_path: Path) -> None:
    job = Job(tmp_path, (tmp_path, tmp_path), "finetune")
    at = [("model", 1, 5.0), ("model", 2, 6.0), ("model", 2, 6.5), ("twin", 1, 8.0), ("end", 0, 9)]
    (tmp_path / SAVED).write_text("".join(f"{name} {n} {t}\n" for name, n, t in at))
    drawn = [moments_of(job, 2) for _ in range(300)]
    assert {moment.checkpoint for moment, _ in drawn} == {("model", 1), ("model", 2)}
    assert {moment.checkpoint for _, moment in drawn} == {("model", 2), ("twin", 1)}
    assert all(0 <= moment.seconds <= 2 for both in drawn for moment in both)


def test_a_run_that_starts_over_is_noticed(tmp_path: Path) -> None:
    job = Job(tmp_path, (tmp_path, tmp_path), "finetune")
    printed = "finetune small: goes on from the checkpoint of step 1,069\n"
    assert job.goes_on(printed, Checkpoint("model", 1069))
    assert not job.goes_on(printed, Checkpoint("model", 1070))
    assert not job.goes_on(printed, Checkpoint("twin", 1))
    assert not job.goes_on("", Checkpoint("model", 1))


def test_moments_are_drawn_again_from_their_seed(tmp_path: Path) -> None:
    job = Job(tmp_path, (tmp_path, tmp_path), "finetune")
    (tmp_path / SAVED).write_text("model 1 5.0\nmodel 2 6.0\nend 0 9\n")
    drawn = []
    for seed in ("1", "1", "2"):
        RANDOM.seed(seed)
        drawn.append(moments_of(job, 2))
    assert drawn[0] == drawn[1] != drawn[2]
