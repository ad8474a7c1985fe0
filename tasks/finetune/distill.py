"""A student: beside its labels, it learns what a finetuned model, its teacher, answers.

The loss is ``weight`` x T² x the divergence (Kullback-Leibler) of the student's distribution from
the teacher's, both of logits divided by the temperature T, and ``1 - weight`` of the loss on the
labels (Hinton et al., 2015, https://arxiv.org/abs/1503.02531; T² keeps the gradients as large as
those of the labels). The teacher's logits are computed once for all trainings of the row, model and
twin, into a file that is mapped into memory; a training that was killed finds it again.

One distribution a term of the loss: a record of classes, a word of tags. Imported where the
backbone is a row of ``students`` alone, so that a change here makes no other row stale.

Dimensions: N records, M of them, F terms of all records, W words of a window, K labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files, records, registry
from tasks.contracts.paths import DISTILL, TEACHER
from tasks.errors import BadInput
from tasks.models.classifier import batches_of_like_length
from tasks.models.model import describe, description, load_model
from tasks.progress import say
from tasks.training.ranks import gathered, rank
from tasks.training.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float, Int
    from torch import Tensor

    from tasks.training.task import Batch

    Scored = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]
    """Yields terms, and the logits of each."""

LOGITS = "teacher.npy"
RECORDS_AT_ONCE = 4096
IGNORED = -100
"""A term that no loss is of, among ``targets``."""


@dataclass(frozen=True)
class Lesson:
    """What a teacher says of all records of train and validation.

    Attributes:
        logits: of each term, F K, float16.
        starts: the first term of each record, and the end of the last one's.
        temperature: what logits are divided by.
        weight: share of the loss.
    """

    logits: Float[np.ndarray, "F K"]
    starts: Int[np.ndarray, " N+1"]
    temperature: float
    weight: float

    def beside(self, examples: Any, rows: Int[np.ndarray, " M"]) -> Any:
        """Return examples whose batches hold what the teacher says of them.

        Args:
            examples: those that are trained on.
            rows: which of the records they are.
        """
        row_of = np.zeros(len(examples.inputs.lengths), dtype=np.int64)
        row_of[examples.indices] = rows
        return replace(examples, inputs=TaughtInputs(examples.inputs, self, row_of))


class TaughtInputs:
    """Records as a student takes them, with its teacher's logits."""

    def __init__(self, inputs: Any, lesson: Lesson, row_of: Int[np.ndarray, " M"]) -> None:
        """Put a teacher's logits beside inputs.

        Args:
            inputs: the records as the student takes them.
            lesson: what the teacher says.
            row_of: which record of it each of the inputs is.
        """
        self._inputs = inputs
        self._lesson = lesson
        self._row_of = row_of

    @property
    def lengths(self) -> np.ndarray:
        """The cost of each."""
        lengths: np.ndarray = self._inputs.lengths
        return lengths

    def batch(self, indices: np.ndarray) -> Batch:
        """Return the inputs of some records, and ``teacher``: M K, or of words, R W K."""
        import torch

        batch: Batch = self._inputs.batch(indices)
        terms = self._lesson.starts[self._row_of[indices]]
        if "number" in batch:  # windows of words: which record each is of, and which word it is
            record, number = batch["record"].numpy(), batch["number"].numpy()
            terms = terms[record][:, None] + np.maximum(number, 0)
        logits = np.asarray(self._lesson.logits[terms], dtype=np.float32)
        return {**batch, "teacher": torch.from_numpy(logits)}


class Student:
    """What learns, and the logits that it gave last: one pass forward is enough for both losses."""

    def __init__(self, learner: Any) -> None:
        self._learner = learner
        self.last: Any = None

    def __getattr__(self, name: str) -> Any:
        """Return what the learner itself has."""
        return getattr(self._learner, name)

    def logits(self, batch: Batch) -> Tensor:
        """Return the learner's logits, and keep them."""
        self.last = self._learner.logits(batch)
        logits: Tensor = self.last
        return logits


class Taught(Task):
    """A training on labels that is one on a teacher's answers, too: it stands before the other."""

    student: Student
    lesson: Lesson

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return both losses, weighed."""
        of_labels: Tensor = super().loss(batch)
        weight = self.lesson.weight
        of_teacher = divergence(self.student.last.float(), batch, self.lesson.temperature)
        return (1 - weight) * of_labels + weight * of_teacher


def divergence(logits: Tensor, batch: Batch, temperature: float) -> Float[Tensor, ""]:
    """Return how far a student is from its teacher, over what its loss counts.

    Args:
        logits: the student's, N K or R W K.
        batch: with ``teacher``, the same of the teacher; and ``counts``.
        temperature: what both are divided by.
    """
    from torch.nn.functional import kl_div, log_softmax

    ours, theirs = (log_softmax(each / temperature, -1) for each in (logits, batch["teacher"]))
    each = kl_div(ours, theirs, reduction="none", log_target=True).sum(-1)
    # Of a word that the teacher has no piece of, it says nothing.
    each = each * batch["teacher"].any(-1)
    if "targets" in batch:
        each = each * (batch["targets"] != IGNORED)
    elif "class_weights" in batch:
        each = each * batch["class_weights"][batch["labels"]]
    return temperature**2 * each.sum() / batch["counts"][0]


def read_lesson(
    backbone: Path, splits: Sequence[Path], head: str | None, outputs: list[str], work: Path
) -> Lesson:
    """Return what the teacher in a backbone's folder says of some splits, computed or found.

    Args:
        backbone: the folder, as ``distill`` writes it.
        splits: ``train`` and ``validation``.
        head: what the student predicts; None for classes.
        outputs: what the student answers with, by name.
        work: the folder of this stage hash, where the logits are kept.

    Raises:
        BadInput: the teacher predicts something else, or lacks one of the names.
    """
    folder = backbone / TEACHER
    about = description(folder)
    if about.get("head") != head or not {*outputs} <= {*about["labels"]}:
        raise BadInput(
            f"{folder} answers with other labels than the student is to learn: distill from a "
            "model of the same head and the same labels"
        )
    columns = [about["labels"].index(name) for name in outputs]
    starts, scored = _classes(folder, splits) if head is None else _words(folder, head, splits)
    path, shape = work / LOGITS, (int(starts[-1]), len(outputs))
    if rank() == 0 and not path.exists():
        say(f"the teacher's answers to {len(starts) - 1:,} records")
        work.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        kept = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
        for terms, logits in scored():
            kept[terms] = logits[:, columns]
        kept.flush()
        partial.rename(path)
    gathered(None)  # the other ranks wait for the file
    logits = np.load(path, mmap_mode="r", allow_pickle=False)
    return Lesson(logits, starts, **files.read_json(backbone / DISTILL))


def tell_teacher(backbone: Path, model: Path) -> None:
    """Let a student's ``downstream.json`` say whom it has learnt from, and how.

    Args:
        backbone: the folder with the teacher in it.
        model: the student's folder.
    """
    weights = files.sha256(backbone / TEACHER / "model.safetensors")
    teacher = {"weights_sha256": weights, **files.read_json(backbone / DISTILL)}
    describe(model, **{**description(model), "teacher": teacher})


def _classes(folder: Path, splits: Sequence[Path]) -> tuple[np.ndarray, Scored]:
    """Return where each record's term is, and what scores them."""
    num_records = sum(batch.num_rows for path in splits for batch in records.read_batches(path))

    def scored() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        model: Any = load_model(folder)
        contents = [content for path in splits for content in _contents(path)]
        for start in range(0, len(contents), RECORDS_AT_ONCE):
            inputs = model.inputs(contents[start : start + RECORDS_AT_ONCE])
            for chosen, logits, _ in _forward(model, inputs):
                yield start + chosen, logits

    return np.arange(num_records + 1), scored


def _contents(path: Path) -> list[Any]:
    modality = records.modality_of(records.read_schema(path))
    contents: list[Any] = records.read_table(path, [modality])[modality].to_pylist()
    return contents


def _words(folder: Path, head: str, splits: Sequence[Path]) -> tuple[np.ndarray, Scored]:
    """Return where each record's words begin, and what scores them."""
    import pyarrow as pa

    from tasks.heads._model import HEADS, load_predictor
    from tasks.heads._targets import read_targets

    module: ModuleType = registry.load(HEADS, head, "finetune.head")
    table = pa.concat_tables([read_targets(path, module.TARGETS) for path in splits])
    contents = module.contents_of(table)
    starts = np.cumsum([0, *(len(content) for content in contents)])

    def scored() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        model: Any = load_predictor(folder).model
        for start in range(0, len(contents), RECORDS_AT_ONCE):
            inputs = module.inputs(model.inner, contents[start : start + RECORDS_AT_ONCE])
            for chosen, logits, batch in _forward(model, inputs):
                number, record = (batch[name].cpu().numpy() for name in ("number", "record"))
                terms = starts[start + chosen[record]][:, None] + number
                yield terms[number >= 0], logits[number >= 0]

    return starts, scored


def _forward(model: Any, inputs: Any) -> Iterator[tuple[np.ndarray, np.ndarray, Batch]]:
    """Yield which records, their logits, and the batch."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.module.to(device).eval()
    with torch.inference_mode():
        for chosen in batches_of_like_length(inputs.lengths):
            batch = {name: value.to(device) for name, value in inputs.batch(chosen).items()}
            yield chosen, model.logits(batch).float().cpu().numpy(), batch
