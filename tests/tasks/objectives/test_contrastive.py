"""Contrastive learning: two views of an image find each other, and few labels go further."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tasks.contracts import records
from tasks.errors import BadInput, BadSettings
from tasks.models.architectures import autoencoder, bert, convnet
from tasks.models.image import ImageBackbone
from tasks.models.model import describe
from tasks.objectives import contrastive
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

CONVNET = (convnet, convnet.Settings(channels=16, hidden_size=64))
UNMOVED = dict.fromkeys(
    ("rotation", "shift", "scale", "shear", "contrast", "brightness", "noise"), 0.0
)


def prepared(
    images: tuple[Path, Path],
    parts: tuple[ModuleType, Any] = CONVNET,
    **settings: Any,
) -> contrastive.Contrastive:
    make_deterministic(0)
    return contrastive.prepare(*parts, contrastive.Settings(**settings), *images)


@pytest.fixture(scope="module")
def trained(images: tuple[Path, Path]) -> contrastive.Contrastive:
    task = prepared(images)
    train(task, TrainingSettings(epochs=15, batch_size=64, learning_rate=3e-3), 0, "x")
    return task


def test_views_of_unseen_images_find_each_other(trained: contrastive.Contrastive) -> None:
    metrics = trained.validate()
    assert metrics["accuracy"] > 20 * metrics["chance_accuracy"]
    assert metrics == trained.validate()


def test_few_labels_go_further_on_its_features_than_on_pixels(
    trained: contrastive.Contrastive, images: tuple[Path, Path], tmp_path: Path
) -> None:
    trained.save(tmp_path)
    describe(tmp_path, architecture="convnet", modality="image")
    backbone = ImageBackbone(tmp_path)
    tables = [records.read_table(path) for path in images]
    labels = [np.array(table["label"].to_pylist()) for table in tables]
    inputs = [backbone.inputs(table["image"].to_pylist()) for table in tables]
    model = backbone.model(["a", "b"])
    with torch.inference_mode():
        features = [
            model.features(some.batch(np.arange(len(some.pixels)))).numpy() for some in inputs
        ]
    pixels = [some.pixels.reshape(len(some.pixels), -1) / 255 for some in inputs]

    def accuracy(known: np.ndarray, held_out: np.ndarray) -> float:
        means = []
        for draw in range(3):
            order = np.random.default_rng(draw).permutation(len(known))
            few = np.concatenate([order[labels[0][order] == name][:3] for name in set(labels[0])])
            head = LogisticRegression(max_iter=1000).fit(known[few], labels[0][few])
            means.append(float((head.predict(held_out) == labels[1]).mean()))
        return float(np.mean(means))

    assert accuracy(*features) > accuracy(*pixels) + 0.03


def test_views_that_are_not_changed_are_the_image(images: tuple[Path, Path]) -> None:
    batch = prepared(images, **UNMOVED).batch(np.arange(9), ExampleRandom(0, 0, range(9)))
    for number in range(2):
        assert torch.allclose(contrastive.seen(batch, number), batch["images"], atol=1e-5)


def test_a_shift_and_a_mirror_do_what_they_are_called(images: tuple[Path, Path]) -> None:
    batch = prepared(images, **UNMOVED).batch(np.arange(4), ExampleRandom(0, 0, range(4)))
    columns = batch["images"].shape[-1]
    batch["moves"][0, :, 0, 2] = 2 / columns  # one column, of a side that is 2 long
    moved = contrastive.seen(batch, 0)
    assert torch.allclose(moved[..., :-1], batch["images"][..., 1:], atol=1e-5)
    batch["moves"][1, :, 0, 0] = -1
    assert torch.allclose(contrastive.seen(batch, 1), batch["images"].flip(-1), atol=1e-5)
    mirrored = prepared(images, **{**UNMOVED, "flip": True})
    signs = mirrored.batch(np.arange(60), ExampleRandom(0, 0, range(60)))["moves"][..., 0, 0]
    assert 0.3 < float((signs < 0).float().mean()) < 0.7


def test_an_examples_views_do_not_depend_on_what_else_is_in_the_batch(
    images: tuple[Path, Path],
) -> None:
    task, indices = prepared(images), np.arange(8)
    whole = task.batch(indices, ExampleRandom(5, 3, indices))
    part = task.batch(indices[2:5], ExampleRandom(5, 3, indices[2:5]))
    other = task.batch(indices, ExampleRandom(5, 4, indices))
    for number in range(2):
        view = contrastive.seen(whole, number)
        assert contrastive.seen(part, number).equal(view[2:5])
        assert not contrastive.seen(other, number).equal(view)
    assert not contrastive.seen(whole, 0).equal(contrastive.seen(whole, 1))


def test_the_loss_is_that_of_the_paper(images: tuple[Path, Path]) -> None:
    task = prepared(images, temperature=0.5)
    batch = task.batch(np.arange(3), ExampleRandom(0, 0, range(3)))
    with torch.no_grad():
        views = [contrastive.seen(batch, number) for number in range(2)]
        z = [task.model["projector"](task.model["encoder"](view)) for view in views]
        z = [row / row.norm() for view in z for row in view]
        costs = []
        for i in range(6):
            scores = [torch.exp(z[i] @ z[k] / 0.5) for k in range(6)]
            others = sum(score for k, score in enumerate(scores) if k != i)
            costs.append(-torch.log(scores[(i + 3) % 6] / others))
        assert float(task.loss(batch)) == pytest.approx(float(sum(costs)) / 6, rel=1e-5)


def test_the_parts_that_are_not_trained_stay_and_the_projector_goes(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    task = prepared(images, (autoencoder, autoencoder.Settings(channels=8)))
    task.save(tmp_path)
    parts = {name.partition(".")[0] for name in load_file(tmp_path / "model.safetensors")}
    assert parts == {"encoder", "decoder"}


def test_texts_and_their_models_are_refused(
    texts: tuple[Path, Path], images: tuple[Path, Path]
) -> None:
    with pytest.raises(BadInput, match="the objective 'contrastive' needs images"):
        prepared(texts)
    with pytest.raises(BadSettings, match="'contrastive' cannot train the architecture 'bert'"):
        prepared(images, (bert, bert.Settings()))
