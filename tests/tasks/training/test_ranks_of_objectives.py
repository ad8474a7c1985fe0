"""However a batch is spread, over ranks or over parts, whatever is trained learns the same."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from torch import Tensor

from tasks.contracts import records, registry
from tasks.contracts.paths import Part
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.finetune.task import Recipe, new_task
from tasks.heads.classification import read_corpus
from tasks.inputs import token_cache as _token_cache
from tasks.models.model import describe, load_backbone
from tasks.objectives._backbone import validated
from tasks.pretrain.settings import ARCHITECTURES, OBJECTIVES
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.ranks import launch, num_ranks, sum_over_ranks
from tasks.training.settings import LongTrainingSettings
from tasks.training.task import Batch, ExampleRandom, Task

# Batches of 16 leave one example over, of which one of two ranks has none.
NUM_EXAMPLES = 193
# Not more: a ReLU near zero turns over by rounding alone, and AdamW makes whole steps of gradients
# that are nothing else, as those of a key's bias: weights go their own way in a long training.
NUM_STEPS = 50
BATCH_SIZE = 16
TOLERANCE = 1e-3
# Each process has one thread, as each of two ranks: such small models are not faster with two.
NUM_PROCESSES = 2

WINDOWS = {"vocabulary_size": 400, "tokens": 32}
TRANSFORMER = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 32, "dropout": 0.0}


class Pretraining(NamedTuple):
    """An objective and an architecture, with settings of both."""

    modality: records.Modality
    objective: str
    architecture: str
    sizes: dict[str, Any]
    options: dict[str, Any]


PRETRAININGS = {
    "masked": Pretraining("text", "masked", "bert", TRANSFORMER, WINDOWS),
    "replaced": Pretraining("text", "replaced", "bert", TRANSFORMER, WINDOWS),
    "causal, gpt2": Pretraining("text", "causal", "gpt2", TRANSFORMER, WINDOWS),
    "causal, lstm": Pretraining(
        "text", "causal", "lstm", {"hidden_size": 32, "dropout": 0.0}, WINDOWS
    ),
    "skipgram": Pretraining("text", "skipgram", "wordvectors", {"hidden_size": 16}, WINDOWS),
    "reconstruction": Pretraining(
        "image", "reconstruction", "autoencoder", {"channels": 16}, {"noise": 0.1, "hidden": 0.1}
    ),
    "reconstruction, dense": Pretraining(
        "image", "reconstruction", "dense_autoencoder", {"hidden_sizes": [32]}, {}
    ),
    "masked_image": Pretraining(
        "image", "masked_image", "vit", {"patch_size": 2, "layers": 1, "hidden_size": 32}, {}
    ),
    "adversarial": Pretraining("image", "adversarial", "dcgan", {"channels": 8}, {}),
    "boltzmann": Pretraining("image", "boltzmann", "rbm", {"hidden_units": 32}, {"steps": 2}),
    "classification, convnet": Pretraining(
        "image", "classification", "convnet", {"channels": 16}, {}
    ),
    "classification, resnet": Pretraining(
        "image", "classification", "resnet", {"channels": 8, "blocks": 1}, {}
    ),
}
FINETUNINGS: dict[str, dict[str, Any]] = {
    "finetune": {},
    "finetune, by class and layer": {"class_weights": "balanced", "layer_decay": 0.8},
    "finetune, lora": {"mode": "lora", "lora": {"dropout": 0.0}},
}


@dataclass(frozen=True)
class Trained:
    """What a training has come to.

    Attributes:
        losses: of each epoch.
        weights: by name.
        moved: how far the weight went that went furthest.
        apart: how far a weight is at most from the ranks' mean of it.
        num_examples: how many this rank has worked off.
    """

    losses: list[float]
    weights: dict[str, np.ndarray]
    moved: float
    apart: float
    num_examples: int


def pretraining(about: Pretraining, folder: Path) -> Task:
    """Return the task of an objective, not trained yet."""
    make_deterministic(0, NUM_PROCESSES)
    objective = registry.load(OBJECTIVES, about.objective, "objective")
    architecture = registry.load(ARCHITECTURES, about.architecture, "architecture")
    task: Task = objective.prepare(
        architecture,
        architecture.Settings(**about.sizes),
        objective.Settings(**about.options),
        *(folder / about.modality / f"{part}.parquet" for part in ("train", "validation")),
    )
    return task


def finetuning(options: dict[str, Any], folder: Path) -> Task:
    """Return the task of a classifier of texts, not trained yet."""
    backbone = load_backbone(folder / "bert")
    splits: dict[Part, Path] = {
        "train": folder / "text/train.parquet",
        "validation": folder / "text/validation.parquet",
    }
    corpus = read_corpus(backbone, splits)
    settings = FinetuneSettings.parse({**options, "dropout": 0.0, "devices": NUM_PROCESSES}, "x")
    recipe = Recipe("x", backbone, corpus.classes, settings, 0, folder)
    train_part = corpus.examples.take(np.arange(corpus.num_train))
    return new_task(recipe, train_part, corpus.examples.take(corpus.validation), 0)


TASKS: dict[str, Callable[[Path], Task]] = {
    **{name: partial(pretraining, about) for name, about in PRETRAININGS.items()},
    **{name: partial(finetuning, options) for name, options in FINETUNINGS.items()},
}


def train_all(folder: Path, num_parts: int) -> dict[str, Trained]:
    """Train all tasks, each from the same weights, on as many ranks as there are."""
    _token_cache.FOLDER = folder / "tokens"
    found = {}
    for name, prepare in TASKS.items():
        task = prepare(folder)
        settings = LongTrainingSettings(
            batch_size=BATCH_SIZE,
            precision="fp32",
            accumulation=num_parts,
            epochs=math.ceil(NUM_STEPS / math.ceil(len(task.lengths) / BATCH_SIZE)),
        )
        found[name] = trained(task, settings)
        if name in PRETRAININGS:  # all ranks come to the figures of one that has all batches
            assert validated(task, settings) == task.validate(), name
    return found


def trained(task: Task, settings: LongTrainingSettings) -> Trained:
    worked_off = 0
    make_batch = task.batch

    def counted(indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        nonlocal worked_off
        worked_off += len(indices)
        return make_batch(indices, randoms)

    task.batch = counted  # type: ignore[method-assign]
    before = weights_of(task)
    losses = train(task, settings, 0, "x")
    assert len(losses) == settings.epochs
    after = weights_of(task)
    mean = {name: sum_over_ranks(value.clone()) / num_ranks() for name, value in after.items()}
    weights = {name: value.numpy() for name, value in after.items()}
    return Trained(losses, weights, furthest(before, after), furthest(mean, after), worked_off)


def weights_of(task: Task) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in task.model.named_parameters()}


def furthest(ones: dict[str, Any], others: dict[str, Any]) -> float:
    assert ones.keys() == others.keys()
    return max(float(abs(value - others[name]).max()) for name, value in ones.items())


@pytest.fixture(scope="module")
def folder(
    texts: tuple[Path, Path],
    images: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """A few texts, a few images, a backbone, and the tokens."""
    folder = tmp_path_factory.mktemp("spread")
    for modality, splits in (("text", texts), ("image", images)):
        for part, path in zip(("train", "validation"), splits, strict=True):
            table = records.read_table(path).slice(0, NUM_EXAMPLES)
            records.write_records(
                folder / modality / f"{part}.parquet", table.schema, table.to_batches()
            )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_token_cache, "FOLDER", folder / "tokens")
        pretraining(PRETRAININGS["masked"], folder).save(folder / "bert")
        describe(folder / "bert", architecture="bert", modality="text")
        yield folder


@pytest.mark.parametrize("name", TASKS)
def test_two_ranks_agree_with_one(
    name: str, on_one_rank: dict[str, Trained], on_two_ranks: dict[str, Trained]
) -> None:
    assert_agreement(on_one_rank[name], on_two_ranks[name])
    assert on_two_ranks[name].apart == 0
    assert on_two_ranks[name].num_examples < 0.6 * on_one_rank[name].num_examples


@pytest.fixture(scope="module")
def on_one_rank(folder: Path) -> dict[str, Trained]:
    """All trainings, by one rank, each batch worked off as a whole."""
    return train_all(folder, 1)


@pytest.fixture(scope="module")
def on_two_ranks(folder: Path) -> dict[str, Trained]:
    """All trainings, by two ranks, which are started once."""
    found: dict[str, Trained] = launch(2, train_all, folder, 1)
    return found


@pytest.mark.parametrize("name", TASKS)
def test_parts_agree_with_the_whole(
    name: str, on_one_rank: dict[str, Trained], in_parts: dict[str, Trained]
) -> None:
    assert_agreement(on_one_rank[name], in_parts[name])
    assert in_parts[name].num_examples == on_one_rank[name].num_examples


@pytest.fixture(scope="module")
def in_parts(folder: Path) -> dict[str, Trained]:
    """All trainings, each batch in three parts."""
    return train_all(folder, 3)


def assert_agreement(one: Trained, other: Trained) -> None:
    assert other.losses == pytest.approx(one.losses, abs=TOLERANCE)
    assert one.moved > 5 * TOLERANCE
    assert furthest(one.weights, other.weights) < TOLERANCE
