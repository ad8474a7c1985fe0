"""Train a classifier on a pretrained backbone, and its twin from random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.contracts import files, records
from tasks.errors import BadInput
from tasks.models.folder import DESCRIPTION, architecture_of, describe, description

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tasks.contracts.paths import Part
    from tasks.finetune.settings import Settings


@dataclass(frozen=True)
class _Split:
    contents: list[Any]
    labels: np.ndarray


def run(
    model: str,
    backbone: Path,
    splits: dict[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
) -> dict[str, Any]:
    """Finetune, and write ``model/``, ``twin/`` and ``history.json``.

    Args:
        model: the row's name; a part of the seed.
        backbone: the pretrained ``model/``.
        splits: ``train``, in which every record has a label, and ``validation``, which chooses the
            epoch that is kept.
        output: the folder to write into.
        settings: the row's settings.
        seed: the ``seed`` of ``params.yaml``.
        checkpoints: the folder of this stage hash's checkpoints.

    Returns:
        The history of both trainings.

    Raises:
        BadInput: backbone and corpus do not fit, or a label is missing.
        Diverged: a loss was NaN or infinite.
        Preempted: SIGTERM came; running again goes on from the checkpoint.
    """
    from tasks.training.ranks import launch

    arguments = (model, backbone, splits, output, settings, seed, checkpoints)
    history: dict[str, Any] = launch(settings.devices, _finetune, *arguments)
    return history


def _finetune(
    model: str,
    backbone: Path,
    splits: dict[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
) -> dict[str, Any]:
    from tasks.training.determinism import derive_seed
    from tasks.training.ranks import rank

    row_seed = derive_seed(seed, "finetune", model)
    read, labels = _read_splits(backbone, splits["train"], splits["validation"])
    history = {}
    for name in ("model", "twin"):
        if name == "twin" and not settings.twin:
            files.write_json(output / name / DESCRIPTION, {"trained": False})
            continue
        what = f"finetune {model}" if name == "model" else f"finetune {model} (twin)"
        history[name] = _train_one(
            what, backbone, read, labels, output / name, settings, row_seed, checkpoints / name
        )
    if rank() == 0:
        files.write_json(output / "history.json", files.rounded(history))
    return history


def _train_one(
    what: str,
    backbone: Path,
    splits: tuple[_Split, _Split],
    labels: list[str],
    output: Path,
    settings: Settings,
    seed: int,
    checkpoints: Path,
) -> dict[str, Any]:
    from tasks.finetune.early_stopping import EarlyStopping
    from tasks.objectives.classification import Classification
    from tasks.training.checkpoints import Checkpoints
    from tasks.training.determinism import make_deterministic
    from tasks.training.loop import train as train_model
    from tasks.training.ranks import rank

    make_deterministic(seed, settings.devices)
    family = architecture_of(backbone).family
    classifier = family.new_classifier(
        backbone, len(labels), pretrained=output.name == "model", dropout=settings.dropout
    )
    if settings.mode == "frozen":
        family.backbone(classifier).requires_grad_(False)
    family.copy_inputs(backbone, output, settings.tokens)
    inputs = [family.inputs(split.contents, output) for split in splits]
    task = Classification(
        family, classifier, inputs[0], splits[0].labels, inputs[1], splits[1].labels
    )
    stopping = EarlyStopping(task, settings.patience)
    losses = train_model(task, settings, seed, what, stopping, Checkpoints(checkpoints))
    if rank() == 0:
        stopping.restore_best()
        _save(family, classifier, backbone, output, labels)
    return {"best_epoch": stopping.best_epoch, "training_loss": losses, "epochs": stopping.epochs}


def _save(family: Any, classifier: Any, backbone: Path, output: Path, labels: list[str]) -> None:
    family.save_classifier(classifier, output)
    about = description(backbone)
    describe(
        output,
        architecture=about["architecture"],
        modality=about["modality"],
        labels=labels,
    )


def _read_splits(
    backbone: Path, train: Path, validation: Path
) -> tuple[tuple[_Split, _Split], list[str]]:
    from tasks.objectives.classification import known_labels, label_indexes

    modality = description(backbone)["modality"]
    found = records.modality_of(records.read_schema(train))
    if found != modality:
        raise BadInput(f"{train} holds {found}s, but the backbone {backbone} takes {modality}s")
    tables = [records.read_table(path) for path in (train, validation)]
    labels = known_labels(tables[0]["label"].to_pylist(), train)
    splits = [
        _Split(
            table[modality].to_pylist(),
            label_indexes(table["label"].to_pylist(), labels, path),
        )
        for table, path in zip(tables, (train, validation), strict=True)
    ]
    return (splits[0], splits[1]), labels
