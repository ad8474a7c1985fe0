"""Nothing in a step waits for the device: no value is read back, no shape depends on one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.contracts import registry
from tasks.models import transformer
from tasks.pretrain.settings import ARCHITECTURES, OBJECTIVES
from tasks.training.determinism import make_deterministic
from tasks.training.loop import _Training
from tasks.training.settings import TrainingSettings
from tests.tasks.training.waits import Waits, waits_of_a_step

TEXT = [
    ("masked", "bert"),
    ("replaced", "bert"),
    ("causal", "gpt2"),
    ("causal", "lstm"),
    ("skipgram", "wordvectors"),
]
IMAGES = [
    ("reconstruction", "autoencoder"),
    ("reconstruction", "dense_autoencoder"),
    ("contrastive", "convnet"),
    ("masked_image", "vit"),
    ("adversarial", "dcgan"),
    ("boltzmann", "rbm"),
    ("classification", "convnet"),
    ("classification", "resnet"),
]


@pytest.fixture(autouse=True)
def _as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute with the attention that a GPU would use."""
    monkeypatch.setattr(transformer, "on_gpu", lambda: True)


def waits_in_a_step(objective: str, architecture: str, splits: tuple[Path, Path]) -> Waits:
    make_deterministic(0)
    tried = registry.load(OBJECTIVES, objective, "objective")
    built = registry.load(ARCHITECTURES, architecture, "architecture")
    task = tried.prepare(
        built,
        built.Settings(**SIZES.get(architecture, {})),
        tried.Settings(**SMALL.get(objective, {})),
        *splits,
    )
    training = _Training(task, TrainingSettings(batch_size=8), 0, "waiting", None, None, None)
    return waits_of_a_step(training)


SIZES: dict[str, dict[str, Any]] = {"vit": {"patch_size": 2}}
SMALL: dict[str, dict[str, Any]] = {
    "masked": {"vocabulary_size": 500, "tokens": 48},
    "replaced": {"vocabulary_size": 500, "tokens": 48},
    "causal": {"vocabulary_size": 500, "tokens": 48},
    "skipgram": {"vocabulary_size": 500},
}


def test_the_watch_sees_what_waits() -> None:
    with Waits() as waits:
        torch.ones(3).sum().item()
        torch.ones(3).nonzero()
    assert waits.found == ["aten::_local_scalar_dense", "aten::nonzero"]


@pytest.mark.parametrize(("objective", "architecture"), TEXT)
def test_a_step_on_texts_waits_for_nothing(
    texts: tuple[Path, Path], objective: str, architecture: str
) -> None:
    waits = waits_in_a_step(objective, architecture, texts)
    assert waits.found == []
    assert "aten::_fused_adamw_" in waits.seen


@pytest.mark.parametrize(("objective", "architecture"), IMAGES)
def test_a_step_on_images_waits_for_nothing(
    images: tuple[Path, Path], objective: str, architecture: str
) -> None:
    waits = waits_in_a_step(objective, architecture, images)
    assert waits.found == []
    assert "aten::_fused_adamw_" in waits.seen
