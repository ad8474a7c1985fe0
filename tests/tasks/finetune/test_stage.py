"""Finetuning: a classifier on a backbone, and its twin."""

from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.contracts import files, records
from tasks.contracts.paths import Part
from tasks.errors import BadInput, Diverged
from tasks.finetune import stage
from tasks.finetune.settings import LoraSettings, Settings
from tasks.models.classifier import load_classifier

QUICK = Settings(epochs=3, learning_rate=3e-3, batch_size=16)
CROSS_VALIDATED = Settings(
    epochs=4, learning_rate=0.02, batch_size=16, mode="lora", twin=False, folds=2, labels=4
)


def finetuned(
    backbone: Path, splits: tuple[Path, Path], output: Path, settings: Settings = QUICK
) -> dict[str, Any]:
    parts: dict[Part, Path] = {"train": splits[0], "validation": splits[1]}
    checkpoints = output.parent / f"{output.name}-checkpoints"
    return stage.run("small", backbone, parts, output, settings, 0, checkpoints)


def accuracy(folder: Path, split: Path) -> float:
    table = records.read_table(split)
    classifier = load_classifier(folder)
    scores = classifier.scores(table[classifier.modality].to_pylist())
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    predicted = np.array(classifier.labels)[scores.argmax(axis=1)]
    return float((predicted == np.array(table["label"].to_pylist())).mean())


def test_text_is_classified_and_the_choice_of_the_epoch_is_kept(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    history = finetuned(
        bert, texts, tmp_path, QUICK.model_copy(update={"epochs": 12, "patience": 12})
    )
    best = history["model"]["best_epoch"]
    expected = history["model"]["epochs"][best - 1]["accuracy"]
    assert accuracy(tmp_path / "model", texts[1]) == pytest.approx(expected)
    assert expected > 0.6
    assert set(history) == {"model", "twin"}


def test_images_are_classified_by_a_backbone_that_knows_them(
    convnet: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = Settings(epochs=25, learning_rate=2e-3, batch_size=16, patience=25, twin=False)
    finetuned(convnet, images, tmp_path, settings)
    assert accuracy(tmp_path / "model", images[1]) > 0.85


def test_finetuning_twice_gives_the_same_bytes(
    convnet: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    for name in ("one", "two"):
        finetuned(convnet, images, tmp_path / name)
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")


@pytest.mark.parametrize("mode", ["frozen", "full"])
def test_frozen_leaves_the_backbone_as_it_was_and_full_does_not(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path, mode: str
) -> None:
    from safetensors.torch import load_file

    settings = Settings(epochs=1, mode=mode, twin=False)
    finetuned(bert, texts, tmp_path, settings)
    before = load_file(bert / "model.safetensors")
    after = load_file(tmp_path / "model" / "model.safetensors")
    same = [v.equal(before[name]) for name, v in after.items() if name.startswith("bert.")]
    assert all(same) == (mode == "frozen")


def test_a_twin_that_is_not_wanted_leaves_a_note(
    convnet: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    history = finetuned(convnet, images, tmp_path, Settings(epochs=1, twin=False))
    assert set(history) == {"model"}
    assert [path.name for path in (tmp_path / "twin").iterdir()] == ["downstream.json"]
    assert files.read_json(tmp_path / "twin" / "downstream.json") == {"trained": False}


def test_early_stopping_ends_when_nothing_better_comes(
    convnet: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = Settings(epochs=40, learning_rate=3e-3, patience=2, twin=False)
    history = finetuned(convnet, images, tmp_path, settings)["model"]
    assert len(history["epochs"]) == history["best_epoch"] + 2 < 40


def test_a_backbone_of_another_modality_is_refused(
    bert: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"holds images, but the backbone .* takes texts"):
        finetuned(bert, images, tmp_path)


def test_texts_longer_than_those_the_backbone_was_trained_on_are_refused_if_asked_for(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    message = (
        r"finetune\.tokens is 49, but the backbone .* was trained on texts of at most 48 tokens: "
        r"lower finetune\.tokens, or pretrain with more tokens"
    )
    with pytest.raises(BadInput, match=message):
        finetuned(bert, texts, tmp_path / "long", Settings.parse({"tokens": 49}, "finetune"))
    assert not (tmp_path / "long").exists()
    for name, asked in {"default": {}, "all": {"tokens": 48}}.items():
        settings = Settings.parse({"epochs": 1, "twin": False, **asked}, "finetune")
        finetuned(bert, texts, tmp_path / name, settings)
        config = files.read_json(tmp_path / name / "model" / "tokenizer_config.json")
        assert config["model_max_length"] == 48


def test_a_rate_far_too_high_names_the_step(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = Settings(epochs=3, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"finetune small: the loss is NaN or infinite at step \d+"):
        finetuned(bert, texts, tmp_path, settings)


@pytest.mark.parametrize("mode", ["full", "frozen", "lora"])
def test_every_mode_writes_the_same_files_and_repeats_to_the_byte(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path, mode: str
) -> None:
    settings = Settings(epochs=1, mode=mode, batch_size=16, labels=3, learning_rate=3e-3)
    for name in ("one", "two"):
        finetuned(bert, texts, tmp_path / name, settings)
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
    found = {
        path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*")
    }
    model = {path.name for path in (tmp_path / "one" / "model").iterdir()}
    # What the backbone has seen is no matter of the twin.
    twin = {path.name for path in (tmp_path / "one" / "twin").iterdir()}
    assert model == twin | {"pretrained_on.npy"}
    assert found - {f"{part}/{name}" for part in ("model", "twin") for name in model} == {
        "model", "twin", "labels.parquet", "folds.parquet", "history.json"
    }  # fmt: skip
    assert pq.read_table(tmp_path / "one" / "folds.parquet").num_rows == 0


def test_a_merged_model_holds_the_names_of_an_ordinary_one_and_other_weights(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    settings = Settings(epochs=2, mode="lora", batch_size=16, learning_rate=3e-2, twin=False)
    history = finetuned(bert, texts, tmp_path, settings)["model"]
    before = load_file(bert / "model.safetensors")
    after = load_file(tmp_path / "model" / "model.safetensors")
    kept = {name: value for name, value in after.items() if name.startswith("bert.")}
    changed = {name for name, value in kept.items() if not value.equal(before[name])}
    layers = [f"bert.encoder.layer.{number}.attention.self" for number in (0, 1)]
    parts = ("query", "value")
    assert changed == {f"{layer}.{part}.weight" for layer in layers for part in parts}
    best = history["epochs"][history["best_epoch"] - 1]["accuracy"]
    assert accuracy(tmp_path / "model", texts[1]) == pytest.approx(best)


def test_model_and_twin_are_trained_on_the_same_few_labels(
    convnet: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    chosen = {}
    for labels in (3, 5):
        settings = Settings(epochs=1, batch_size=10, labels=labels)
        finetuned(convnet, images, tmp_path / str(labels), settings)
        table = pq.read_table(tmp_path / str(labels) / "labels.parquet")
        chosen[labels] = set(zip(*table.to_pydict().values(), strict=True))
        assert Counter(label for _, label in chosen[labels]) == {str(i): labels for i in range(10)}
        for part in ("model", "twin"):
            checkpoints = tmp_path / f"{labels}-checkpoints" / part
            assert [path.name for path in checkpoints.glob("*.json")] == [f"step-{labels:012}.json"]
    assert chosen[3] < chosen[5]
    known = pq.read_table(images[0]).select(["id", "label"]).to_pydict()
    assert chosen[5] < set(zip(*known.values(), strict=True))


def test_repeats_are_pairs_of_other_seeds_and_other_few_labels(
    convnet: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    once = Settings(epochs=2, batch_size=10, labels=3)
    finetuned(convnet, images, tmp_path / "once", once)
    settings = once.model_copy(update={"repeats": 3})
    history = finetuned(convnet, images, tmp_path / "thrice", settings)
    pairs = [f"{part}{number}" for number in ("", "-2", "-3") for part in ("model", "twin")]
    assert list(history) == pairs
    # The pair that is registered is that of a training without repeats.
    for part in ("model/model.safetensors", "twin/model.safetensors", "labels.parquet"):
        assert len({files.sha256(tmp_path / name / part) for name in ("once", "thrice")}) == 1
    repeats = [tmp_path / "thrice" / "twin" / "repeats" / number for number in ("2", "3")]
    folders = [tmp_path / "thrice", *repeats]
    for part in ("model", "twin"):
        weights = {files.sha256(folder / part / "model.safetensors") for folder in folders}
        assert len(weights) == 3
    chosen = [set(pq.read_table(folder / "labels.parquet")["id"].to_pylist()) for folder in folders]
    assert [len(ids) for ids in chosen] == [30, 30, 30]
    assert max(len(one & other) for one, other in combinations(chosen, 2)) < 15


def test_a_class_with_fewer_records_than_asked_for_is_told(
    convnet: Path, few_images: dict[Part, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(epochs=1, labels=500, twin=False)
    finetuned(convnet, (few_images["train"], few_images["validation"]), tmp_path, settings)
    assert pq.read_table(tmp_path / "labels.parquet").num_rows == 120
    assert "labels: 500, but the class '0' has 12 records: all are used" in capsys.readouterr().err


def test_more_folds_than_a_class_has_records_are_refused_before_anything_is_trained(
    convnet: Path, few_images: dict[Part, Path], tmp_path: Path
) -> None:
    splits = (few_images["train"], few_images["validation"])
    with pytest.raises(BadInput, match=r"folds: 50, but train and validation hold \d+ records of"):
        finetuned(convnet, splits, tmp_path / "out", Settings(epochs=1, folds=50))
    assert not (tmp_path / "out-checkpoints").exists()


@pytest.fixture(scope="module")
def validated(
    convnet: Path, few_images: dict[Part, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with ``out`` and ``checkpoints``: two folds of a few labels, adapted."""
    folder = tmp_path_factory.mktemp("validated")
    run_on_digits(folder, convnet, few_images)
    return folder


def run_on_digits(
    folder: Path, backbone: Path, splits: dict[Part, Path], name: str = "out"
) -> None:
    checkpoints = folder / "checkpoints"
    stage.run("digits", backbone, splits, folder / name, CROSS_VALIDATED, 0, checkpoints)


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
    run_on_digits(validated, convnet, few_images, "again")
    printed = capsys.readouterr().err
    best = files.read_json(validated / "out" / "history.json")["model"]["best_epoch"]
    steps = 3 * best  # at most 4 of each of 10 digits, 16 a batch
    assert f"finetune digits (fold-1): goes on from the checkpoint of step {steps}" in printed
    assert "(fold-2): goes on" not in printed
    sums = [files.sha256_of_folder(validated / name) for name in ("out", "again")]
    assert sums[0] == sums[1]


def test_two_ranks_train_the_same_folds(
    convnet: Path, few_images: dict[Part, Path], tmp_path: Path
) -> None:
    exact = {"precision": "fp32", "dropout": 0.0, "lora": LoraSettings(dropout=0.0)}
    held_out = []
    for devices in (1, 2):
        settings = CROSS_VALIDATED.model_copy(update={**exact, "devices": devices})
        output, checkpoints = tmp_path / str(devices), tmp_path / f"checkpoints-{devices}"
        stage.run("digits", convnet, few_images, output, settings, 0, checkpoints)
        held_out.append(pq.read_table(output / "folds.parquet").to_pandas())
    assert held_out[0]["id"].equals(held_out[1]["id"])
    scores = [f"score_{label}" for label in range(10)]
    assert np.allclose(held_out[0][scores], held_out[1][scores], atol=1e-3)
