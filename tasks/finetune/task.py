"""What one training of this stage is made of: a head, and how the settings have it learn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import registry
from tasks.errors import BadSettings
from tasks.finetune.settings import CLASSIFICATION, HEADS
from tasks.tracking.runs.metric_log import MetricLog
from tasks.training.checkpoints import Checkpoints
from tasks.training.determinism import derive_seed, make_deterministic
from tasks.training.loop import Callback, train
from tasks.training.task import Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float, Int

    from tasks.finetune.distill import Lesson
    from tasks.finetune.settings import Settings
    from tasks.finetune.wide import WideCorpus
    from tasks.models.model import Backbone
    from tasks.objectives.classification import Examples


@dataclass(frozen=True)
class Recipe:
    """What the trainings of a row have in common.

    Attributes:
        name: the row.
        backbone: the pretrained model.
        labels: what the head answers with: the names of the classes.
        settings: the row's settings.
        seed: the ``seed`` of ``params.yaml``.
        checkpoints: the folder of the trainings' checkpoints.
        pretrained: begin with the backbone's weights, not with random ones.
        repeat: which of ``settings.repeats`` it is, counted from 1.
        journal: where the metrics of the trainings go, step by step.
        ngrams: of all records, where ``settings.wide`` asks for a wide part.
        lesson: what a teacher says of all records, where the model is a student.
    """

    name: str
    backbone: Backbone
    labels: list[str]
    settings: Settings
    seed: int
    checkpoints: Path
    pretrained: bool = True
    repeat: int = 1
    journal: Path | None = None
    ngrams: WideCorpus | None = None
    lesson: Lesson | None = None

    @property
    def head(self) -> ModuleType:
        """What is predicted."""
        return head_of(self.settings)

    @property
    def row_seed(self) -> int:
        """What the order of the batches and all random numbers of the row follow from."""
        repeat = () if self.repeat == 1 else (f"repeat-{self.repeat}",)
        return derive_seed(self.seed, "finetune", self.name, *repeat)

    @property
    def labels_seed(self) -> int:
        """What the choice of few labels follows from; it is the same in every row."""
        return self.seed if self.repeat == 1 else derive_seed(self.seed, f"repeat-{self.repeat}")

    def for_twin(self) -> Recipe:
        """Return how the twin learns: from random weights, all of them, each at the full rate.

        A random backbone that is frozen, or nearly, would be a straw man.
        """
        settings = self.settings.model_copy(
            update={"mode": "full", "layer_decay": 1.0, "solver": "adamw"}
        )
        return replace(self, settings=settings, pretrained=False)


def head_of(settings: Settings) -> ModuleType:
    """Return the head that a row names."""
    return registry.load(HEADS, settings.head or CLASSIFICATION, "finetune.head")


class Finetuning(Task):
    """A head's training on a backbone whose layers may learn at rates of their own, or adapters.

    Attributes:
        encoder: the backbone, if it learns.
    """

    layer_decay = 1.0
    has_adapters = False
    encoder: Any = None

    def optimized(self) -> dict[str, list[dict[str, Any]]]:
        """Return the groups of parameters, by depth where depth matters."""
        if self.layer_decay == 1:
            return super().optimized()
        from tasks.finetune.layer_decay import decayed_groups

        return {"model": decayed_groups(self.model, self.encoder, self.layer_decay)}

    def save(self, folder: Path) -> None:
        """Write the classifier, its adapters merged into its weights."""
        if self.has_adapters:
            from tasks.finetune.lora import merge_adapters

            merge_adapters(self.encoder)
        super().save(folder)


def new_task(recipe: Recipe, train: Examples, validation: Examples, seed: int) -> Finetuning:
    """Return a training that has not begun.

    Args:
        recipe: the classifier, and how it learns.
        train: what it is trained on.
        validation: what it is validated on.
        seed: of the random weights.

    Raises:
        BadInput: ``mode: lora`` finds nothing to adapt, ``wide`` no n-gram, or the backbone does
            not tell how frequent its tokens are.
        BadSettings: the backbone has no such ``pooling``, or ``solver: lbfgs`` finds a reader.
    """
    settings = recipe.settings
    make_deterministic(seed, settings.devices)
    of_head = {} if settings.distribution is None else {"distribution": settings.distribution}
    classifier = recipe.head.new_model(
        recipe.backbone,
        recipe.labels,
        train,
        pretrained=recipe.pretrained,
        dropout=settings.dropout,
        pooling=settings.pooling,
        **of_head,
    )
    if settings.pooling == "weighted":
        from tasks.finetune.weighted import fit_pooling

        fit_pooling(classifier, train)
    learner: Any = classifier
    wide = None if recipe.ngrams is None else recipe.ngrams.fit(train, len(recipe.labels))
    indices = train.indices, validation.indices
    if settings.mode == "frozen" and "reader" in classifier.module:
        if settings.solver == "lbfgs":
            raise BadSettings(
                "finetune.solver: lbfgs fits a head alone, but the backbone "
                f"{recipe.backbone.folder} is read by an LSTM: drop it, or pretrain with reader: "
                "mean"
            )
        # The reader learns with the head, and reads vectors: a table has nothing to compute.
        classifier.encoder.requires_grad_(False)
    elif settings.mode == "frozen":
        from tasks.finetune.frozen import Head, with_features

        train, validation = (with_features(classifier, some) for some in (train, validation))
        learner = Head(classifier)
    elif settings.mode == "lora":
        from tasks.finetune.lora import add_adapters

        add_adapters(classifier.encoder, settings.lora)
    if wide is not None:
        from tasks.finetune.wide import WideLearner

        train, validation = wide.beside(train, indices[0]), wide.beside(validation, indices[1])
        learner = WideLearner(learner, wide.part)
    options: dict[str, Any] = {}
    if settings.head is None:
        options["label_smoothing"] = settings.label_smoothing
    if settings.class_weights == "balanced":
        options["class_weights"] = balanced_weights(train.labels, len(recipe.labels))
    bases: tuple[type, ...] = (Finetuning, recipe.head.TASK)
    if recipe.lesson is not None:
        from tasks.finetune.distill import Student, Taught

        train = recipe.lesson.beside(train, indices[0])
        learner = Student(learner)
        about = {"student": learner, "lesson": recipe.lesson}
        bases = (Finetuning, type("Taught", (Taught,), about), recipe.head.TASK)
    kind = type("Finetuning", bases, {})
    task: Finetuning = kind(learner, train, validation, **options)
    task.encoder = classifier.encoder
    task.layer_decay = settings.layer_decay
    task.has_adapters = settings.mode == "lora"
    return task


def train_task(
    recipe: Recipe, task: Finetuning, part: str, callback: Callback, seed: int
) -> list[float]:
    """Train a classifier in place, from its last checkpoint on; return each epoch's mean loss.

    Args:
        recipe: the classifier, and how it learns.
        task: it.
        part: ``model``, or what else it is for.
        callback: is called after every epoch.
        seed: of the order of the batches and of dropout.
    """
    what = f"finetune {recipe.name}" + ("" if part == "model" else f" ({part})")
    settings, num_examples = recipe.settings, len(task.lengths)
    if settings.labels or settings.folds:
        # What few labels or a fold leave may be less than a batch; a whole split may not.
        batch_size = min(settings.batch_size, num_examples)
        settings = settings.model_copy(update={"batch_size": batch_size})
    checkpoints = Checkpoints(recipe.checkpoints / part)
    metric_log = MetricLog(recipe.journal, f"{part}.")
    if settings.solver == "lbfgs":
        from tasks.finetune.logistic import fit

        return fit(task, settings.label_smoothing, what, callback, metric_log)
    return train(task, settings, seed, what, callback, checkpoints, metric_log)


def balanced_weights(labels: Int[np.ndarray, " N"], num_labels: int) -> Float[np.ndarray, " K"]:
    """Return n / (k · n_c) for each class c, so that all of them count alike.

    Args:
        labels: the class of each record; each class has one at least.
        num_labels: k.
    """
    counts = np.bincount(labels, minlength=num_labels)
    weights: np.ndarray = len(labels) / (num_labels * counts)
    return weights
