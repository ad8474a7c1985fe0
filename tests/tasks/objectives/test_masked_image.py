"""Masked images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.errors import BadInput, BadSettings
from tasks.inputs.traits import ImageTraits
from tasks.models.architectures import bert, vit
from tasks.objectives import masked_image
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

SMALL = vit.Settings(patch_size=2, layers=1, hidden_size=32, heads=2, decoder_hidden_size=32)
TRAINING = TrainingSettings(epochs=60, learning_rate=4e-3, batch_size=32)


def prepared(
    images: tuple[Path, Path], settings: masked_image.Settings | None = None
) -> masked_image.MaskedImage:
    make_deterministic(0)
    return masked_image.prepare(vit, SMALL, settings or masked_image.Settings(), *images)


def test_hidden_patches_are_drawn_better_than_by_the_mean_image(
    images: tuple[Path, Path],
) -> None:
    task = prepared(images, masked_image.Settings(mask_ratio=0.5, normalized=True))
    train(task, TRAINING, 0, "masked_image")
    metrics = task.validate()
    assert metrics["loss"] < 0.9 * metrics["mean_image_error"]


def test_patches_are_cut_as_transformers_does() -> None:
    images = torch.rand(2, 3, 8, 8)
    model = vit.build(SMALL, ImageTraits(3, 8, 8))
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    sizes = {name: model.config[name] for name in ("hidden_size", "num_hidden_layers")}
    theirs = ViTMAEForPreTraining(ViTMAEConfig(image_size=8, patch_size=2, num_channels=3, **sizes))
    assert masked_image.patches(images, 2).equal(theirs.patchify(images))


def test_the_loss_is_that_of_transformers(images: tuple[Path, Path]) -> None:
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    task = prepared(images)
    fields = ViTMAEConfig().to_dict()
    known = {name: value for name, value in task.model.config.items() if name in fields}
    theirs = ViTMAEForPreTraining(ViTMAEConfig(**known | {"mask_ratio": 0.75}))
    theirs.vit, theirs.decoder = task.model["encoder"].vit, task.model["patch_decoder"]
    batch = task.batch(np.arange(6), ExampleRandom(0, 0, range(6)))
    expected = theirs(batch["images"], noise=batch["order"].float()).loss
    torch.testing.assert_close(task.loss(batch), expected)


def test_an_example_hides_the_same_patches_whatever_else_is_in_the_batch(
    images: tuple[Path, Path],
) -> None:
    task = prepared(images)
    indices = np.arange(8)
    whole = task.batch(indices, ExampleRandom(5, 3, indices))
    part = task.batch(indices[2:5], ExampleRandom(5, 3, indices[2:5]))
    assert part["order"].equal(whole["order"][2:5])
    assert part["images"].equal(whole["images"][2:5])
    assert not task.batch(indices, ExampleRandom(5, 4, indices))["order"].equal(whole["order"])
    assert len(whole["order"].unique(dim=0)) == 8
    assert whole["counts"].tolist() == [8 * 12]


def test_the_mean_image_error_is_that_of_the_hidden_patches(images: tuple[Path, Path]) -> None:
    task = prepared(images)
    metrics = task.validate()
    num_images = len(task._validation.pixels)
    places = np.arange(num_images)
    batch = task._examples(task._validation, places, ExampleRandom(0, 0, places))
    mean = task._mean_patches()
    is_hidden = batch["order"] >= 4
    targets = masked_image.patches(batch["images"], 2)
    expected = ((targets - mean) ** 2).mean(-1)[is_hidden].mean()
    assert metrics["mean_image_error"] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(("ratio", "seen"), [(0.95, 0), (0.01, 15), (0.97, 0)])
def test_some_patches_must_be_seen(images: tuple[Path, Path], ratio: float, seen: int) -> None:
    if seen:
        assert prepared(images, masked_image.Settings(mask_ratio=ratio))._num_hidden == 1
        return
    expected = rf"masked_image\.mask_ratio is {ratio}: of an image's 16 patches, 0 are seen"
    with pytest.raises(BadSettings, match=expected):
        prepared(images, masked_image.Settings(mask_ratio=ratio))


def test_it_needs_an_architecture_that_draws_patches(images: tuple[Path, Path]) -> None:
    with pytest.raises(BadSettings) as error:
        masked_image.prepare(bert, bert.Settings(), masked_image.Settings(), *images)
    assert str(error.value) == (
        "the objective 'masked_image' cannot train the architecture 'bert', which has no "
        "patch_decoder; set architecture to one of: vit"
    )


def test_text_is_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds text; the objective 'masked_image' needs images"):
        masked_image.prepare(vit, SMALL, masked_image.Settings(), *texts)
