"""Images: every architecture's model in memory and on disk, and from pretraining to its scores."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pytest
import torch

from tasks.contracts import files, records, registry
from tasks.contracts.paths import Part
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.inputs.pixels import PixelInputs, decode
from tasks.inputs.traits import ImageTraits
from tasks.models import image
from tasks.models.classifier import load_classifier
from tasks.models.image import ImageBackbone, ImageModel
from tasks.models.model import describe, load_backbone, load_model
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings
from tasks.training.task import ExampleRandom

GRAY = ImageTraits(1, 8, 8)
SHAPES = [(1, 8, 8), (3, 7, 5), (1, 28, 28)]
LABELS = list("abcde")
SMALL: dict[str, dict[str, Any]] = {
    "autoencoder": {"channels": 8},
    "convnet": {"channels": 8},
    "dcgan": {"channels": 8},
    "resnet": {"channels": 8, "blocks": 1},
    "vit": {"layers": 1, "hidden_size": 16, "heads": 2, "decoder_hidden_size": 8},
}


def image_architectures() -> list[str]:
    package = "tasks.models.architectures"
    names = registry.entries(package)
    modules = {name: importlib.import_module(f"{package}.{name}") for name in names}
    return [name for name, module in modules.items() if module.BACKBONE is ImageBackbone]


# A ViT takes square images alone (test_vit.py has the refusal).
CASES = [
    (name, shape)
    for name in image_architectures()
    for shape in SHAPES
    if name != "vit" or shape[1] == shape[2]
]


def built(name: str, shape: tuple[int, int, int]) -> tuple[ModuleType, Any]:
    module = registry.load("tasks.models.architectures", name, name)
    return module, module.build(module.Settings(**SMALL.get(name, {})), ImageTraits(*shape))


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_classifier_takes_any_shape_and_comes_back_as_saved(
    name: str, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    module, model = built(name, shape)
    assert tuple(model) == module.PARTS
    classifier = ImageModel(model, LABELS)
    classifier.save(tmp_path)
    images = {"images": torch.rand(2, *shape)}
    loaded = load_model(tmp_path)
    assert loaded.labels == LABELS
    assert loaded.logits(images).equal(classifier.logits(images))
    assert loaded.logits(images).shape == (2, 5)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_the_features_of_an_image_do_not_depend_on_what_else_is_in_the_batch(
    name: str, shape: tuple[int, int, int]
) -> None:
    _, model = built(name, shape)
    images = torch.rand(3, *shape)
    together, alone = model["encoder"](images), model["encoder"](images[1:2])
    assert together.ndim == 2
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["autoencoder", "dense_autoencoder"])
def test_an_autoencoder_gives_back_the_shape_it_is_given(
    name: str, shape: tuple[int, int, int]
) -> None:
    _, model = built(name, shape)
    restored = model["decoder"](model["encoder"](torch.rand(2, *shape)))
    assert restored.shape == (2, *shape)
    assert 0 <= float(restored.min().detach()) < float(restored.max().detach()) <= 1


@pytest.mark.parametrize("name", image_architectures())
def test_the_twin_has_the_shape_but_not_the_weights(name: str, tmp_path: Path) -> None:
    _, model = built(name, GRAY.shape)
    image.save(model, tmp_path)
    describe(tmp_path, architecture=name)
    backbone = ImageBackbone(tmp_path)
    saved = dict(model["encoder"].named_parameters())
    first, other = (
        dict(backbone.model(LABELS, pretrained=each).encoder.named_parameters())
        for each in (True, False)
    )
    assert set(saved) == set(first) == set(other)
    assert all(value.equal(first[key]) for key, value in saved.items())
    assert any(not value.equal(other[key]) for key, value in saved.items())


def test_transformers_reads_what_its_own_architectures_are_saved_as(tmp_path: Path) -> None:
    from transformers import AutoModel, ViTMAEForPreTraining

    _, model = built("vit", GRAY.shape)
    image.save(model, tmp_path)
    encoder = AutoModel.from_pretrained(tmp_path, attn_implementation="eager").eval()
    whole, report = ViTMAEForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    images = torch.rand(2, *GRAY.shape)
    order = torch.arange(4).expand(2, -1)
    hidden = encoder(images, noise=order).last_hidden_state
    torch.testing.assert_close(hidden[:, 1:].mean(1), model["encoder"](images))
    decoder = dict(model["patch_decoder"].named_parameters())
    assert all(value.equal(decoder[name]) for name, value in whole.decoder.named_parameters())


def test_transformers_reads_the_encoder_of_a_classifier_too(tmp_path: Path) -> None:
    from transformers import AutoModel

    _, model = built("vit", GRAY.shape)
    ImageModel(model, LABELS).save(tmp_path)
    encoder = AutoModel.from_pretrained(tmp_path)
    saved = dict(model["encoder"].vit.named_parameters())
    assert all(value.equal(saved[name]) for name, value in encoder.named_parameters())
    assert encoder.config.num_labels == 5


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
