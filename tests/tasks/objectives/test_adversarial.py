"""Adversarial training."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks.contracts import records
from tasks.errors import BadInput, BadSettings
from tasks.models.architectures import autoencoder, dcgan
from tasks.objectives import adversarial
from tasks.training.checkpoints import Checkpoints
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.optimizers import Optimizers
from tasks.training.settings import TrainingSettings
from tasks.training.task import ExampleRandom

SMALL = dcgan.Settings(channels=16, latent_size=16)
TRAINING = TrainingSettings(epochs=80, learning_rate=4e-3, batch_size=32, warmup=0.02)
QUICK = TRAINING.model_copy(update={"epochs": 2, "batch_size": 64})


def prepared(images: tuple[Path, Path]) -> adversarial.Adversarial:
    make_deterministic(0)
    return adversarial.prepare(dcgan, SMALL, adversarial.Settings(), *images)


def weights(task: adversarial.Adversarial, *parts: str) -> torch.Tensor:
    values = [value for part in parts for value in task.model[part].parameters()]
    return torch.cat([value.detach().flatten() for value in values]).clone()


@pytest.fixture
def mixed(images: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """The same digits in another order: as they come, other people wrote the last ones."""
    table = pa.concat_tables([records.read_table(path) for path in images])
    table = table.take(np.random.default_rng(0).permutation(len(table)))
    schema = records.split_schema("image")
    paths = tmp_path / "train.parquet", tmp_path / "validation.parquet"
    for path, part in zip(paths, (table[:450], table[450:]), strict=True):
        records.write_records(path, schema, part.to_batches())
    return paths


def test_drawn_images_come_nearer_to_real_ones_than_independent_pixels(
    mixed: tuple[Path, Path],
) -> None:
    make_deterministic(0)
    task = adversarial.prepare(dcgan, dcgan.Settings(), adversarial.Settings(), *mixed)
    assert task.validate()["energy_distance"] > 1
    train(task, TRAINING, 0, "adversarial")
    metrics = task.validate()
    assert metrics["energy_distance"] < 0.8 * metrics["independent_pixels_energy_distance"]
    assert 0.4 < metrics["real_or_drawn_accuracy"] < 0.8


def test_each_step_trains_both_networks_each_on_its_own_loss(images: tuple[Path, Path]) -> None:
    task = prepared(images)
    optimizers = Optimizers(task, TRAINING, torch.device("cpu"), 10)
    batch = task.batch(np.arange(8), ExampleRandom(0, 0, range(8))) | {"weight": torch.ones(())}
    generator, discriminator = weights(task, "generator"), weights(task, "encoder", "critic")
    optimizers.minimise(task.discriminator_loss, [batch], "discriminator")
    assert weights(task, "generator").equal(generator)
    assert not weights(task, "encoder", "critic").equal(discriminator)
    discriminator = weights(task, "encoder", "critic")
    optimizers.minimise(task.generator_loss, [batch], "generator")
    assert not weights(task, "generator").equal(generator)
    assert weights(task, "encoder", "critic").equal(discriminator)
    assert all(value.grad is None for value in task.model.parameters())


def test_every_weight_belongs_to_one_optimizer(images: tuple[Path, Path]) -> None:
    task = prepared(images)
    groups = [group for network in task.optimized().values() for group in network]
    found = [id(value) for group in groups for value in group["params"]]
    assert sorted(found) == sorted(id(value) for value in task.model.parameters())


def test_a_training_that_was_stopped_goes_on_exactly(
    images: tuple[Path, Path], tmp_path: Path
) -> None:
    class Stop:
        metrics: ClassVar[dict[str, float]] = {}

        def after_epoch(self, epoch: int) -> bool:
            if epoch == 1:
                raise KeyboardInterrupt
            return False

        def state_dict(self) -> dict[str, int]:
            return {}

        def load_state_dict(self, state: dict[str, int]) -> None:
            pass

    class Often(Checkpoints):
        due = True

    undisturbed, stopped, resumed = (prepared(images) for _ in range(3))
    train(undisturbed, QUICK, 0, "x")
    with pytest.raises(KeyboardInterrupt):
        train(stopped, QUICK, 0, "x", Stop(), Often(tmp_path))
    train(resumed, QUICK, 0, "x", checkpoints=Checkpoints(tmp_path))
    parts = ("encoder", "critic", "generator")
    assert weights(resumed, *parts).equal(weights(undisturbed, *parts))
    assert not weights(stopped, *parts).equal(weights(undisturbed, *parts))


def test_an_example_has_the_same_latent_numbers_whatever_else_is_in_the_batch(
    images: tuple[Path, Path],
) -> None:
    task = prepared(images)
    indices = np.arange(8)
    whole = task.batch(indices, ExampleRandom(5, 3, indices))
    part = task.batch(indices[2:5], ExampleRandom(5, 3, indices[2:5]))
    assert whole["latent"].shape == (8, 16)
    assert part["latent"].equal(whole["latent"][2:5])
    assert not task.batch(indices, ExampleRandom(5, 4, indices))["latent"].equal(whole["latent"])


def test_the_energy_distance_of_samples_worked_out_by_hand() -> None:
    first, second = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 5.0])
    # The distances between them are 1, 5, 1 and 3, those within them 2 and 4.
    found = adversarial.energy_distance(first[:, None, None, None], second[:, None, None, None])
    assert found == pytest.approx(2 * 2.5 - 2 - 4)


def test_it_needs_a_generator(images: tuple[Path, Path]) -> None:
    expected = r"cannot train the architecture 'autoencoder', which has no generator; .*: dcgan$"
    with pytest.raises(BadSettings, match=expected):
        adversarial.prepare(autoencoder, autoencoder.Settings(), adversarial.Settings(), *images)


def test_text_is_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds text; the objective 'adversarial' needs images"):
        adversarial.prepare(dcgan, SMALL, adversarial.Settings(), *texts)


def test_one_image_to_validate_with_is_refused(images: tuple[Path, Path], tmp_path: Path) -> None:
    alone = tmp_path / "validation.parquet"
    table = records.read_table(images[1]).slice(0, 1)
    records.write_records(alone, table.schema, table.to_batches())
    with pytest.raises(BadInput, match=r"validation\.parquet holds one image, but drawn ones are"):
        prepared((images[0], alone))
