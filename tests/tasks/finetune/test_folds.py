"""Folds: a partition, stratified, the same whatever the order; and trained once each."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import files
from tasks.contracts.paths import Part
from tasks.errors import BadInput
from tasks.finetune import stage
from tasks.finetune.folds import FixedEpochs, assign
from tasks.finetune.settings import LoraSettings, Settings

SETTINGS = Settings(
    epochs=4, learning_rate=0.02, batch_size=16, mode="lora", twin=False, folds=2, labels=4
)


@given(st.lists(st.integers(5, 30), min_size=2, max_size=5), st.integers(2, 5), st.integers(0, 3))
def test_folds_are_even_over_all_records_and_over_each_class(
    sizes: list[int], num_folds: int, seed: int
) -> None:
    labels = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    ids = [f"record {number}" for number in range(len(labels))]
    folds = assign(ids, labels, num_folds, seed)
    assert set(folds) == set(range(num_folds))
    assert np.ptp(np.bincount(folds)) <= 1
    for label in set(labels):
        of_class = folds[[known == label for known in labels]]
        assert np.ptp(np.bincount(of_class, minlength=num_folds)) <= 1


@given(st.permutations(range(20)))
def test_the_fold_of_a_record_does_not_depend_on_the_order(order: list[int]) -> None:
    ids, labels = [f"record {i}" for i in range(20)], ["a", "b"] * 10
    folds = assign(ids, labels, 3, 0)
    moved = assign([ids[i] for i in order], [labels[i] for i in order], 3, 0)
    assert moved.tolist() == folds[order].tolist()


def test_another_seed_deals_otherwise() -> None:
    ids, labels = [f"record {i}" for i in range(20)], ["a", "b"] * 10
    assert assign(ids, labels, 2, 0).tolist() != assign(ids, labels, 2, 1).tolist()


def test_a_class_smaller_than_the_number_of_folds_is_refused() -> None:
    expected = (
        r"folds: 4, but train and validation hold 3 records of the class 'corn': take fewer folds"
    )
    with pytest.raises(BadInput, match=expected):
        assign([str(i) for i in range(9)], ["corn"] * 3 + ["earn"] * 6, 4, 0)


def test_a_fold_is_trained_for_so_many_epochs() -> None:
    watcher = FixedEpochs(2)
    assert [watcher.after_epoch(epoch) for epoch in (1, 2)] == [False, True]


@pytest.fixture(scope="module")
def validated(
    convnet: Path, few_images: dict[Part, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with ``out`` and ``checkpoints``: two folds of a few labels, adapted."""
    folder = tmp_path_factory.mktemp("validated")
    _run(folder, convnet, few_images)
    return folder


def _run(folder: Path, backbone: Path, splits: dict[Part, Path], name: str = "out") -> None:
    checkpoints = folder / "checkpoints"
    stage.run("digits", backbone, splits, folder / name, SETTINGS, 0, checkpoints)


def test_every_record_of_train_and_validation_is_held_out_once(
    validated: Path, few_images: dict[Part, Path]
) -> None:
    held_out = pq.read_table(validated / "out" / "folds.parquet").to_pandas()
    ids = [name for path in few_images.values() for name in pq.read_table(path)["id"].to_pylist()]
    assert sorted(held_out["id"]) == sorted(ids)
    assert held_out["fold"].value_counts().to_dict() == {1: 80, 2: 80}
    scores = held_out[[f"score_{label}" for label in range(10)]]
    assert np.allclose(scores.sum(axis=1), 1)
    assert (scores.to_numpy().argmax(axis=1).astype(str) == held_out["predicted"]).all()
    assert (held_out["label"] == held_out["predicted"]).mean() > 0.3


def test_finished_folds_are_not_trained_again(
    validated: Path,
    convnet: Path,
    few_images: dict[Part, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in (validated / "checkpoints" / "fold-2").iterdir():
        path.unlink()  # as if killed when the second had just begun
    capsys.readouterr()
    _run(validated, convnet, few_images, "again")
    told = capsys.readouterr().err
    best = files.read_json(validated / "out" / "history.json")["model"]["best_epoch"]
    steps = 3 * best  # at most 4 of each of 10 digits, 16 a batch
    assert f"finetune digits (fold-1): goes on from the checkpoint of step {steps}" in told
    assert "(fold-2): goes on" not in told
    sums = [files.sha256_of_folder(validated / name) for name in ("out", "again")]
    assert sums[0] == sums[1]


def test_two_ranks_train_the_same_folds(
    convnet: Path, few_images: dict[Part, Path], tmp_path: Path
) -> None:
    exact = {"precision": "fp32", "dropout": 0.0, "lora": LoraSettings(dropout=0.0)}
    told = []
    for devices in (1, 2):
        settings = SETTINGS.model_copy(update={**exact, "devices": devices})
        output, checkpoints = tmp_path / str(devices), tmp_path / f"checkpoints-{devices}"
        stage.run("digits", convnet, few_images, output, settings, 0, checkpoints)
        told.append(pq.read_table(output / "folds.parquet").to_pandas())
    assert told[0]["id"].equals(told[1]["id"])
    scores = [f"score_{label}" for label in range(10)]
    assert np.allclose(told[0][scores], told[1][scores], atol=1e-3)
