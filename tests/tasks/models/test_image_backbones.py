"""Every image objective's backbone, from pretraining over finetuning to the finished classifier."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from tasks.contracts import files, records, registry
from tasks.contracts.paths import Part
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.inputs.pixels import PixelInputs, decode
from tasks.models.classifier import load_classifier
from tasks.models.model import load_backbone, load_model
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings
from tasks.training.task import ExampleRandom

BACKBONES: dict[str, dict[str, Any]] = {
    "autoencoder": {"objective": "reconstruction", "autoencoder": {"channels": 8}},
    "dense_autoencoder": {"objective": "reconstruction", "reconstruction": {"hidden": 0.2}},
    "vit": {
        "objective": "masked_image",
        "vit": {"patch_size": 4, "layers": 1, "hidden_size": 16, "decoder_hidden_size": 16},
    },
    "dcgan": {"objective": "adversarial", "dcgan": {"channels": 8}},
    "rbm": {"objective": "boltzmann", "rbm": {"hidden_units": 32}},
    "resnet": {"objective": "classification", "resnet": {"channels": 8, "blocks": 1}},
}


@pytest.fixture(scope="session", params=sorted(BACKBONES))
def backbone(
    request: pytest.FixtureRequest,
    images: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A backbone pretrained for one epoch."""
    folder = tmp_path_factory.mktemp(request.param)
    pretrained(request.param, images, folder)
    return folder / "out" / "model"


def pretrained(name: str, images: tuple[Path, Path], folder: Path) -> None:
    training = {"epochs": 1, "batch_size": 64}
    raw = {"architecture": name, "training": training, **BACKBONES[name]}
    settings = PretrainSettings.parse(raw, "pretrain")
    pretrain.run("small", *images, folder / "out", settings, 0, folder / "checkpoints")


@pytest.mark.parametrize("mode", ["full", "frozen"])
def test_a_backbone_is_finetuned_beside_a_twin_and_scores_after_loading_as_before(
    backbone: Path, images: tuple[Path, Path], tmp_path: Path, mode: Literal["full", "frozen"]
) -> None:
    settings = FinetuneSettings(epochs=1, batch_size=64, mode=mode)
    splits: dict[Part, Path] = {"train": images[0], "validation": images[1]}
    history = finetune.run(
        "small", backbone, splits, tmp_path / "out", settings, 0, tmp_path / "checkpoints"
    )
    contents = records.read_table(images[1])["image"].to_pylist()
    for name in ("model", "twin"):
        folder = tmp_path / "out" / name
        classifier = load_classifier(folder)
        scores = classifier.scores(contents)
        labels = records.read_table(images[1])["label"].to_pylist()
        predicted = np.array(classifier.labels)[scores.argmax(axis=1)]
        accuracy = float((predicted == np.array(labels)).mean())
        assert accuracy == pytest.approx(history[name]["epochs"][0]["accuracy"])
    assert unchanged(backbone, tmp_path / "out" / "model") == (mode == "frozen")


def unchanged(backbone: Path, classifier: Path) -> bool:
    before, after = load_backbone(backbone).model(["a"]), load_model(classifier)
    pairs = zip(before.encoder.parameters(), after.encoder.parameters(), strict=True)
    return all(first.equal(second) for first, second in pairs)


def test_a_classifier_that_is_saved_and_loaded_gives_exactly_equal_logits(
    backbone: Path, images: tuple[Path, Path], tmp_path: Path
) -> None:
    classifier = load_backbone(backbone).model([str(number) for number in range(10)])
    classifier.save(tmp_path)
    pixels = decode(records.read_table(images[1])["image"].to_pylist())
    batch = PixelInputs(pixels).batch(np.arange(20))
    assert load_model(tmp_path).logits(batch).equal(classifier.logits(batch))


@pytest.mark.parametrize("name", ["vit", "dcgan", "rbm"])
def test_pretraining_repeats_to_the_byte(
    name: str, images: tuple[Path, Path], tmp_path: Path
) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        pretrained(name, images, folder)
    first, second = (files.sha256_of_folder(tmp_path / each / "out") for each in ("one", "two"))
    assert first == second
    assert all(
        isinstance(value, float)
        for value in files.read_json(tmp_path / "one/out/metrics.json")["validation"].values()
    )


@pytest.mark.parametrize(
    ("name", "losses"),
    [
        ("dense_autoencoder", ["loss"]),
        ("vit", ["loss"]),
        ("rbm", ["loss"]),
        ("dcgan", ["discriminator_loss", "generator_loss"]),
    ],
)
def test_the_losses_of_parts_add_up_to_that_of_the_batch(
    name: str, losses: list[str], images: tuple[Path, Path]
) -> None:
    torch.manual_seed(0)
    raw = {"architecture": name, **BACKBONES[name]}
    settings: Any = PretrainSettings.parse(raw, "pretrain")
    architecture = registry.load("tasks.models.architectures", name, name)
    objective = registry.load("tasks.objectives", settings.objective, name)
    own = getattr(settings, name), getattr(settings, settings.objective)
    task = objective.prepare(architecture, *own, *images)
    indices = np.arange(10)
    whole = task.batch(indices, ExampleRandom(0, 7, indices))
    parts = [task.batch(some, ExampleRandom(0, 7, some)) for some in (indices[:3], indices[3:])]
    assert sum(part["counts"] for part in parts).equal(whole["counts"])
    for loss in (getattr(task, each) for each in losses):
        total = sum(loss({**part, "counts": whole["counts"]}) for part in parts)
        torch.testing.assert_close(total, loss(whole))
