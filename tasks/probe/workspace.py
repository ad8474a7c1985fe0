"""The whole life of a stage in small: a workspace with a slice of the row's records.

The slice holds what is seldom as well as what is common: the longest records and the shortest, the
rarest characters, every class. There are several epochs of several steps, with a last batch that is
short, and one record of a stretch more than ``tasks.training.batches`` cuts an epoch into. A
batch's size is no power of two: a sum divided by one is exact, and would hide another order.
What the model is, the row decides: the same code runs.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.contracts import files, paths, records
from tasks.contracts.params import TABLES, row_of

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from tasks.contracts.paths import Part

PROBED = ("pretrain", "adapt", "finetune", "evaluate")
"""The stages that can be probed: those that cost GPU hours."""
FOLDS, REPEATS, BOOTSTRAP_SAMPLES = 2, 2, 100
NUM_SCANNED, NUM_SAMPLED_BYTES = 20_000, 2_000
NUM_LONGEST, NUM_SHORTEST, NUM_RARE, NUM_CLASSES = 4, 2, 16, 12


@dataclass(frozen=True)
class Size:
    """How small the life is.

    Attributes:
        num_records: of each split, at most.
        epochs: at most.
        batch_size: examples a step, at most.
        patience: of early stopping, at most.
        interrupt_at: steps until the training is stopped, to go on from its checkpoint; 0: never.
            Of a row with fewer epochs or steps, as many fewer.
        is_watched: whether what is executed is noted.
    """

    num_records: dict[Part, int]
    epochs: int
    batch_size: int
    patience: int
    interrupt_at: int
    is_watched: bool = True


SMALL = Size(
    num_records={"train": 50, "validation": 68, "test": 68},
    epochs=3,
    batch_size=3,
    patience=1,
    interrupt_at=25,
)
"""Three epochs of 17 steps; stopped in the second."""


@dataclass(frozen=True)
class Subject:
    """What is probed: a row of a stage, with its inputs as they lie in a workspace.

    Attributes:
        stage: one of ``PROBED``.
        row: its name.
        params: the content of ``params.yaml``.
        root: the workspace that its inputs lie in.
        size: how small its life is.
    """

    stage: str
    row: str
    params: dict[str, Any]
    root: Path
    size: Size = SMALL

    @property
    def name(self) -> str:
        """``<stage>@<row>``."""
        return f"{self.stage}@{self.row}"

    @property
    def values(self) -> dict[str, Any]:
        """The row, as ``params.yaml`` has it."""
        return row_of(self.params, TABLES[self.stage], self.row)

    @property
    def settings(self) -> dict[str, Any]:
        """The section of ``params.yaml`` that the probe runs with."""
        return shrunk(self.stage, self.values[self.stage], self.size)


def shrunk(stage: str, section: dict[str, Any], size: Size) -> dict[str, Any]:
    """Return a section of ``params.yaml`` for a life in small; what is not named stays as it is.

    Args:
        stage: one of ``PROBED``.
        section: the row's own.
        size: how small.
    """
    small = deepcopy(section)
    if stage == "evaluate":
        return {**small, "bootstrap_samples": BOOTSTRAP_SAMPLES}
    if stage == "finetune":
        trainings = {"folds": FOLDS} if small.get("folds") else {}
        if small.get("repeats", 1) > 1:
            trainings["repeats"] = REPEATS
        patience = min(small.get("patience", size.patience), size.patience)
        return {**small, **_short_training(small, size), **trainings, "patience": patience}
    objective = small.get("objective")
    own = small.get(str(objective))
    if isinstance(own, dict):
        # A size that is asked for has to come out; of the default's, few texts give what they can.
        own.pop("vocabulary_size", None)
        if own.get("tokenizer") == "bytes":
            # Fewer than the slice has: of a large corpus, a sample is all that a tokenizer sees.
            given = own.get("tokenizer_sample") or NUM_SAMPLED_BYTES
            own["tokenizer_sample"] = min(given, NUM_SAMPLED_BYTES)
    if objective != "none":
        training = small.get("training") or {}
        small["training"] = {**training, **_short_training(training, size)}
    return small


def _short_training(training: dict[str, Any], size: Size) -> dict[str, Any]:
    batch_size = min(training.get("batch_size", size.batch_size), size.batch_size)
    short: dict[str, Any] = {"batch_size": max(batch_size, training.get("devices", 1))}
    most_steps = _most_steps(size)
    if training.get("max_steps") or training.get("max_tokens"):
        # How many tokens the slice has is not known here.
        short["max_steps"] = min(training.get("max_steps") or most_steps, most_steps)
        short["max_tokens"] = None
    else:
        short["epochs"] = min(training.get("epochs", size.epochs), size.epochs)
    if training.get("validate_every"):
        short["validate_every"] = min(training["validate_every"], max(1, most_steps // 4))
    # Compiling takes longer than the probe, and its own lines are then not executed.
    return {**short, "compile": False} if training.get("compile") else short


def _most_steps(size: Size) -> int:
    """Return at most how many steps a training takes that ends in the middle of an epoch."""
    return 9 * size.epochs * size.num_records["train"] // (10 * size.batch_size)


def lay_workspace(subject: Subject, code: Path, work: Path) -> dict[str, Any]:
    """Fill a folder with the code, the slice and what else the stage reads.

    Args:
        subject: what is probed.
        code: the ``tasks`` to run.
        work: the folder; empty.

    Returns:
        The request for ``driver.py``, but for where it writes.
    """
    (work / "tasks").symlink_to(code.resolve(), target_is_directory=True)
    for folder in (paths.DATA / "sources", paths.STATE / "downloads"):
        if (subject.root / folder).is_dir():
            _link(subject.root, work, folder)
    corpus = subject.values["corpus"]
    only = None
    if subject.stage == "evaluate":
        _link(subject.root, work, paths.finetuned(subject.row).parent)
        only = set()
        # Further pairs were trained on other records.
        for labels in (subject.root / paths.finetuned(subject.row).parent).rglob(paths.LABELS):
            only |= set(records.read_table(labels, ["id"])["id"].to_pylist())
    elif subject.stage in ("adapt", "finetune"):
        _link(subject.root, work, paths.pretrained(subject.values["backbone"]).parent)
    classes = None
    for part in paths.PARTS if subject.stage == "evaluate" else paths.TRAINED_ON:
        split = paths.split(corpus, part)
        table = slice_of(
            subject.root / split,
            subject.size.num_records[part],
            classes=classes if part == "validation" else None,
            only=only if part == "train" else None,
        )
        classes = classes or set(table["label"].to_pylist()) | {None}
        records.write_records(work / split, table.schema, table.to_batches())
    return {
        "stage": subject.stage,
        "settings": subject.settings,
        "where": f"{TABLES[subject.stage]}.{subject.row}.{subject.stage}",
        "seed": subject.params["seed"],
        "arguments": _arguments(subject, corpus),
        "output": (paths.STATE / "work" / subject.name).as_posix(),
        "checkpoints": (paths.STATE / "checkpoints" / subject.name).as_posix(),
        "interrupt_at": _interrupt_at(subject),
        "is_watched": subject.size.is_watched,
    }


def _interrupt_at(subject: Subject) -> int:
    if subject.stage == "evaluate" or not subject.size.interrupt_at:
        return 0
    training = subject.settings.get("training", subject.settings)
    if training.get("max_steps"):
        share = training["max_steps"] / _most_steps(subject.size)
    else:
        share = training.get("epochs", subject.size.epochs) / subject.size.epochs
    return max(1, int(subject.size.interrupt_at * share))


def _link(root: Path, work: Path, folder: Path) -> None:
    (work / folder).parent.mkdir(parents=True, exist_ok=True)
    (work / folder).symlink_to((root / folder).resolve(), target_is_directory=True)


def _arguments(subject: Subject, corpus: str) -> dict[str, Any]:
    """Return the stage's own arguments of ``run``, by name."""
    splits = {part: paths.split(corpus, part).as_posix() for part in paths.PARTS}
    if subject.stage == "evaluate":
        return {
            "model_name": subject.row,
            "model": {"path": paths.finetuned(subject.row).as_posix()},
            "twin": {"path": paths.twin(subject.row).as_posix()},
            "splits": {"paths": splits},
        }
    trained_on = {part: splits[part] for part in paths.TRAINED_ON}
    if subject.stage == "finetune":
        backbone = paths.pretrained(subject.values["backbone"]).as_posix()
        return {
            "model": subject.row,
            "backbone": {"path": backbone},
            "splits": {"paths": trained_on},
        }
    if subject.stage == "adapt":
        backbone = paths.pretrained(subject.values["backbone"]).as_posix()
        return {
            "row": subject.row,
            "backbone": {"path": backbone},
            "splits": {"paths": trained_on},
        }
    return {
        "backbone": subject.row,
        **{part: {"path": path} for part, path in trained_on.items()},
    }


def slice_of(
    path: Path, count: int, classes: set[str | None] | None = None, only: set[str] | None = None
) -> pa.Table:
    """Return some records of a split, in its order; the same ones each time.

    Args:
        path: the split; of a large one, its beginning is looked at.
        count: how many, at most.
        classes: the labels that they may have; by default any.
        only: the ids that they may have; by default any.
    """
    table = _beginning(path)
    labels, ids = table["label"].to_pylist(), table["id"].to_pylist()
    allowed = [
        index
        for index, (label, name) in enumerate(zip(labels, ids, strict=True))
        if (classes is None or label in classes) and (only is None or name in only)
    ]
    contents = table[records.modality_of(table.schema)].to_pylist()
    by_length = sorted(allowed, key=lambda index: (len(contents[index]), index))
    first = [*by_length[-NUM_LONGEST:], *by_length[:NUM_SHORTEST]]
    if records.modality_of(table.schema) == "text":
        first += _with_rare_characters(contents, allowed)
    wanted = [*first, *_of_every_class(labels, allowed), *allowed]
    return table.take(sorted(list(dict.fromkeys(wanted))[:count]))


def _beginning(path: Path) -> pa.Table:
    import pyarrow as pa

    batches, num_records = [], 0
    for batch in records.read_batches(path):
        batches.append(batch)
        num_records += batch.num_rows
        if num_records >= NUM_SCANNED:
            break
    return pa.Table.from_batches(batches, records.read_schema(path))


def _with_rare_characters(texts: list[str], allowed: list[int]) -> list[int]:
    """Return one text for each of the characters that the fewest texts have."""
    first_with: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for index in allowed:
        characters = set(texts[index])
        counts.update(characters)
        for character in characters:
            first_with.setdefault(character, index)
    rarest = sorted(counts, key=lambda character: (counts[character], character))
    return list(dict.fromkeys(first_with[character] for character in rarest))[:NUM_RARE]


def _of_every_class(labels: list[str | None], allowed: list[int]) -> list[int]:
    """Return two records of each of the most frequent classes, and one that has none."""
    counts = Counter(labels[index] for index in allowed)
    frequent = sorted(counts, key=lambda label: (-counts[label], label or ""))[:NUM_CLASSES]
    chosen: dict[str | None, list[int]] = {label: [] for label in frequent}
    for index in allowed:
        if len(chosen.get(labels[index], [0, 0])) < FOLDS:
            chosen[labels[index]].append(index)
    return [index for indices in chosen.values() for index in indices]


def content_hash(work: Path) -> str:
    """Return one hash of the slice that a workspace holds."""
    return files.sha256_of_folder(work / paths.DATA / "split")
