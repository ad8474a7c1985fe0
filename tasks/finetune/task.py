"""What one training of this stage is made of: a classifier, and how the settings have it learn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.errors import BadSettings
from tasks.finetune.layers import decayed_groups
from tasks.models.folder import architecture_of
from tasks.objectives.classification import Classification
from tasks.training.determinism import derive_seed

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float, Int

    from tasks.finetune.settings import Settings
    from tasks.objectives.classification import Examples
    from tasks.training.loop import Watcher


@dataclass(frozen=True)
class Recipe:
    """What the trainings of a row have in common.

    Attributes:
        name: the row.
        backbone: the folder of the pretrained model.
        num_labels: how many classes there are.
        settings: the row's settings.
        seed: the ``seed`` of ``params.yaml``.
        checkpoints: the folder of the trainings' checkpoints.
        pretrained: begin with the backbone's weights, not with random ones.
        journal: where the figures of the trainings go, step by step.
    """

    name: str
    backbone: Path
    num_labels: int
    settings: Settings
    seed: int
    checkpoints: Path
    pretrained: bool = True
    journal: Path | None = None

    @property
    def family(self) -> Any:
        """The module that knows models like the backbone."""
        return architecture_of(self.backbone).family

    @property
    def row_seed(self) -> int:
        """What the order of the batches and all random numbers of the row follow from."""
        return derive_seed(self.seed, "finetune", self.name)

    def for_twin(self) -> Recipe:
        """Return how the twin learns: from random weights, all of them, each at the full rate.

        A random backbone that is frozen, or nearly, would be a straw man.
        """
        settings = self.settings.model_copy(update={"mode": "full", "layer_decay": 1.0})
        return replace(self, settings=settings, pretrained=False)


class Finetuning(Classification):
    """Classification on a backbone whose layers may learn at rates of their own."""

    layer_decay = 1.0

    def optimized(self) -> dict[str, list[dict[str, Any]]]:
        """Return the groups of parameters, by depth where depth matters."""
        if self.layer_decay == 1:
            return super().optimized()
        backbone = self._family.backbone(self.model)
        return {"model": decayed_groups(self.model, backbone, self.layer_decay)}


def new_task(recipe: Recipe, train: Examples, validation: Examples, seed: int) -> Finetuning:
    """Return a training that has not begun.

    Args:
        recipe: the classifier, and how it learns.
        train: what it is trained on.
        validation: what it is looked at with.
        seed: of the random weights.

    Raises:
        BadInput: ``mode: lora`` finds nothing to adapt.
        BadSettings: the backbone has no such ``pooling``.
    """
    from tasks.finetune.adapters import add_adapters
    from tasks.training.determinism import make_deterministic

    family, settings = recipe.family, recipe.settings
    make_deterministic(seed, settings.devices)
    classifier = family.new_classifier(
        recipe.backbone,
        recipe.num_labels,
        pretrained=recipe.pretrained,
        dropout=settings.dropout,
        **_pooling(family, settings),
    )
    if settings.mode == "frozen":
        family.backbone(classifier).requires_grad_(False)
    elif settings.mode == "lora":
        add_adapters(family.backbone(classifier), settings.lora)
    weights = None
    if settings.class_weights == "balanced":
        weights = balanced_weights(train.labels, recipe.num_labels)
    task = Finetuning(family, classifier, train, validation, weights, settings.label_smoothing)
    task.layer_decay = settings.layer_decay
    return task


def _pooling(family: Any, settings: Settings) -> dict[str, str]:
    if family.MODALITY == "text":
        return {"pooling": settings.pooling}
    if settings.pooling != "auto":
        raise BadSettings(
            f"finetune.pooling is {settings.pooling!r}, but the backbone takes {family.MODALITY}s, "
            "whose encoders pool by themselves: drop it"
        )
    return {}


def train_task(
    recipe: Recipe, task: Finetuning, part: str, watcher: Watcher, seed: int
) -> list[float]:
    """Train a classifier in place, from its last checkpoint on; return each epoch's mean loss.

    Args:
        recipe: the classifier, and how it learns.
        task: it.
        part: ``model``, or what else it is for.
        watcher: looks at it after every epoch.
        seed: of the order of the batches and of dropout.
    """
    from tasks.tracking.runs.metric_log import MetricLog
    from tasks.training.checkpoints import Checkpoints
    from tasks.training.loop import train

    what = f"finetune {recipe.name}" + ("" if part == "model" else f" ({part})")
    settings, num_examples = recipe.settings, len(task.lengths)
    if settings.labels or settings.folds:
        # What few labels or a fold leave may be less than a batch; a whole split may not.
        batch_size = min(settings.batch_size, num_examples)
        settings = settings.model_copy(update={"batch_size": batch_size})
    checkpoints, curve = (
        Checkpoints(recipe.checkpoints / part),
        MetricLog(recipe.journal, f"{part}."),
    )
    return train(task, settings, seed, what, watcher, checkpoints, curve)


def save_classifier(recipe: Recipe, task: Finetuning, output: Path, labels: list[str]) -> None:
    """Write a trained classifier, its adapters merged into its weights."""
    from tasks.finetune.adapters import merge_adapters
    from tasks.models.folder import describe, description

    if recipe.settings.mode == "lora":
        merge_adapters(recipe.family.backbone(task.model))
    recipe.family.save_classifier(task.model, output)
    about = description(recipe.backbone)
    describe(output, architecture=about["architecture"], modality=about["modality"], labels=labels)


def balanced_weights(labels: Int[np.ndarray, " N"], num_labels: int) -> Float[np.ndarray, " K"]:
    """Return n / (k · n_c) for each class c, so that all of them count alike.

    Args:
        labels: the class of each record; each class has one at least.
        num_labels: k.
    """
    counts = np.bincount(labels, minlength=num_labels)
    weights: np.ndarray = len(labels) / (num_labels * counts)
    return weights
