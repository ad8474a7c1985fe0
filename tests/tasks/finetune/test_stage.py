"""Finetuning: a classifier on a backbone, and its twin."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contracts import files, records
from tasks.contracts.paths import Part
from tasks.errors import BadInput, Diverged
from tasks.finetune import stage
from tasks.finetune.settings import Settings
from tasks.models.classifier import load_classifier
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings

BERT = PretrainSettings.parse(
    {
        "objective": "masked",
        "architecture": "bert",
        "bert": {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64},
        "masked": {"tokens": 48, "vocabulary_size": 600},
        "training": {"epochs": 1},
    },
    "pretrain",
)
CONVNET = PretrainSettings.parse(
    {"objective": "classification", "architecture": "convnet", "training": {"epochs": 3}},
    "pretrain",
)
QUICK = Settings(epochs=3, learning_rate=3e-3, batch_size=16)


@pytest.fixture(scope="session")
def bert(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT pretrained for one epoch."""
    folder = tmp_path_factory.mktemp("bert")
    pretrain.run("small-bert", *texts, folder / "out", BERT, 0, folder / "checkpoints")
    return folder / "out"


@pytest.fixture(scope="session")
def convnet(images: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convnet pretrained for three epochs."""
    folder = tmp_path_factory.mktemp("convnet")
    pretrain.run("small-convnet", *images, folder / "out", CONVNET, 0, folder / "checkpoints")
    return folder / "out"


def finetuned(
    backbone: Path, splits: tuple[Path, Path], output: Path, settings: Settings = QUICK
) -> dict[str, Any]:
    parts: dict[Part, Path] = {"train": splits[0], "validation": splits[1]}
    checkpoints = output.parent / f"{output.name}-checkpoints"
    return stage.run("small", backbone / "model", parts, output, settings, 0, checkpoints)


def accuracy(folder: Path, split: Path) -> float:
    table = records.read_table(split)
    classifier = load_classifier(folder)
    scores = classifier.scores(table[classifier.modality].to_pylist())
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    predicted = np.array(classifier.labels)[scores.argmax(axis=1)]
    return float((predicted == np.array(table["label"].to_pylist())).mean())


def test_pretraining_reports_metrics_and_repeats_to_the_byte(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    pretrain.run("small-bert", *texts, tmp_path / "out", BERT, 0, tmp_path / "checkpoints")
    assert files.sha256_of_folder(tmp_path / "out") == files.sha256_of_folder(bert)
    assert files.read_json(bert / "metrics.json")["validation"]["perplexity"] > 1


def test_another_seed_gives_other_weights(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    pretrain.run("small-bert", *texts, tmp_path / "out", BERT, 1, tmp_path / "checkpoints")
    weights = "model/model.safetensors"
    assert files.sha256(tmp_path / "out" / weights) != files.sha256(bert / weights)


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
    before = load_file(bert / "model" / "model.safetensors")
    after = load_file(tmp_path / "model" / "model.safetensors")
    same = [value.equal(before[f"bert.{name}"]) for name, value in after.items()]
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


def test_a_rate_far_too_high_names_the_step(
    bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    settings = Settings(epochs=3, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"finetune small: the loss is NaN or infinite at step \d+"):
        finetuned(bert, texts, tmp_path, settings)
