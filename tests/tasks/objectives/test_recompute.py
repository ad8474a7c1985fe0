"""Layers that are computed again: less is held, the weights come out the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.contracts import registry
from tasks.errors import BadSettings
from tasks.objectives._recompute import recompute_layers
from tasks.objectives._settings import OBJECTIVES
from tasks.pretrain.settings import ARCHITECTURES
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import LongTrainingSettings
from tasks.training.task import ExampleRandom, Task

TEXT = {"layers": 3, "hidden_size": 32, "heads": 2, "positions": 32, "dropout": 0.1}
IMAGE = {"patch_size": 2, "layers": 3, "hidden_size": 32}
SETTINGS = LongTrainingSettings(max_steps=3, batch_size=8, precision="fp32")


def prepared(
    name: str, architecture: str, sizes: dict[str, Any], splits: tuple[Path, Path]
) -> Task:
    make_deterministic(0)
    objective = registry.load(OBJECTIVES, name, "objective")
    built = registry.load(ARCHITECTURES, architecture, "architecture")
    options = {"tokens": 24, "vocabulary_size": 400} if sizes is TEXT else {}
    task: Task = objective.prepare(
        built, built.Settings(**sizes), objective.Settings(**options), *splits
    )
    return task


def held(task: Task) -> int:
    """Return the bytes that a forward pass keeps for the backward pass."""
    chosen = np.arange(8)
    batch = task.batch(chosen, ExampleRandom(0, 0, chosen))
    kept: list[int] = []

    def keep(value: torch.Tensor) -> torch.Tensor:
        kept.append(value.nbytes)
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        task.loss(batch)
    return sum(kept)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("causal", "gpt2"), ("masked", "bert"), ("replaced", "bert"), ("masked_image", "vit")],
)
def test_less_is_held_and_the_weights_are_the_same(
    name: str, architecture: str, texts: tuple[Path, Path], images: tuple[Path, Path]
) -> None:
    given = (images, IMAGE) if architecture == "vit" else (texts, TEXT)
    plain, again = (prepared(name, architecture, given[1], given[0]) for _ in range(2))
    recompute_layers(again.model)
    assert held(again) < 0.8 * held(plain)
    for task in (plain, again):
        train(task, SETTINGS, 0, name)
    both = zip(plain.model.state_dict().items(), again.model.state_dict().items(), strict=True)
    for (_, one), (other_name, other) in both:
        assert one.equal(other), other_name
    assert again.validate() == plain.validate()


def test_what_has_no_such_layers_is_refused(images: tuple[Path, Path]) -> None:
    task = prepared("reconstruction", "autoencoder", {"channels": 8}, images)
    with pytest.raises(BadSettings, match=r"training\.recompute is of transformers"):
        recompute_layers(task.model)
