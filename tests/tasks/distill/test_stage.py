"""Students: what lies beside their backbone, what they learn of their teacher, killed or not."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks.contracts import files, paths, records
from tasks.contracts.paths import TEACHER
from tasks.distill.settings import Settings
from tasks.distill.stage import run
from tasks.errors import BadInput
from tasks.evaluate import stage as evaluate
from tasks.evaluate.settings import Settings as EvaluateSettings
from tasks.finetune import stage as finetune
from tasks.finetune.distill import LOGITS, Lesson, divergence, read_lesson, tell_teacher
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.heads import tagging
from tasks.heads._model import load_predictor
from tasks.models.model import description, load_backbone
from tasks.models.origin import SEEN, labels_of
from tests.tasks.finetune.conftest import vectors
from tests.tasks.heads.conftest import (
    Finetuned,
    Splits,
    backbone,
    causal_backbone,
    corpora,
    finetuned,
)
from tests.tasks.training.jobs import Job
from tests.tasks.training.kills import everything, fault_when_killed

__all__ = ["backbone", "causal_backbone", "corpora", "finetuned", "vectors"]


@pytest.fixture(scope="module")
def lesson(
    finetuned: Callable[[str], Finetuned], backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A backbone with a tagger beside it."""
    folder = tmp_path_factory.mktemp("lesson")
    run(backbone, finetuned("tagging").model, "brown", folder, Settings(weight=0.9))
    return folder / "model"


def of_both(splits: Splits) -> list[Path]:
    return [splits["train"], splits["validation"]]


def test_a_backbone_has_its_teacher_in_it_and_what_both_have_seen(
    lesson: Path, backbone: Path, finetuned: Callable[[str], Finetuned], tmp_path: Path
) -> None:
    for copied, original in ((lesson, backbone), (lesson / TEACHER, finetuned("tagging").model)):
        written = (copied / "model.safetensors").read_bytes()
        assert written == (original / "model.safetensors").read_bytes()
    assert labels_of(lesson) == ["brown"]
    parts = []
    for name, seen in (("backbone", [1, 5]), ("teacher", [3, 5])):
        parts.append(tmp_path / name)
        parts[-1].mkdir()
        np.save(parts[-1] / SEEN, np.array(seen, dtype=np.uint64))
        (parts[-1] / SEEN).chmod(0o444)  # as DVC leaves what it links to its cache
        files.write_json(parts[-1] / "downstream.json", {"labels_of": f"of-{name}"})
    run(*parts, "topics", tmp_path / "out", Settings())
    assert np.load(tmp_path / "out/model" / SEEN).tolist() == [1, 3, 5]
    for folder in ("out/model", f"out/model/{TEACHER}"):
        assert (tmp_path / folder / SEEN).stat().st_mode & 0o200
    assert labels_of(tmp_path / "out/model") == ["of-backbone", "of-teacher", "topics"]


def test_the_card_of_a_student_tagger_names_its_teacher(
    lesson: Path, finetuned: Callable[[str], Finetuned], tmp_path: Path
) -> None:
    taught = finetuned("tagging")
    shutil.copytree(taught.model.parent, tmp_path / "row")
    tell_teacher(lesson, tmp_path / "row/model")
    evaluate.run(
        "small",
        tmp_path / "row/model",
        tmp_path / "row/twin",
        taught.splits,
        tmp_path / "evidence",
        EvaluateSettings(bootstrap_samples=100),
        0,
    )
    card = (tmp_path / "evidence/README.md").read_text()
    weights = files.sha256(lesson / TEACHER / "model.safetensors")
    assert f"whose weights have the sha256 `{weights}`" in card
    assert "90 % of the loss, at temperature 2.0. Its twin has learnt from the same one." in card
    assert "A student" not in (taught.evidence / "README.md").read_text()


def test_the_loss_is_the_divergence_of_both_softened_distributions() -> None:
    ours, theirs = torch.tensor([[1.0, 0.0], [0.3, 2.0]]), torch.tensor([[4.0, 0.0], [0.0, 1.0]])
    batch = {"teacher": theirs, "counts": torch.tensor([2.0]), "labels": torch.tensor([0, 1])}
    wanted, softened = torch.softmax(theirs / 3, -1), torch.softmax(ours / 3, -1)
    each = (wanted * (wanted / softened).log()).sum(-1)
    assert divergence(ours, batch, 3.0) == pytest.approx(9 * float(each.sum()) / 2, rel=1e-5)
    assert divergence(theirs + 7, batch, 3.0) == pytest.approx(0, abs=1e-6)
    weights = {"class_weights": torch.tensor([0.5, 2.0])}
    weighted = 9 * float(each @ weights["class_weights"]) / 2
    assert divergence(ours, {**batch, **weights}, 3.0) == pytest.approx(weighted, rel=1e-5)
    # No loss is of a word whose tag is unknown, nor of one of which the teacher says nothing.
    targets = torch.tensor([0, -100])
    assert divergence(ours, {**batch, "targets": targets}, 3.0) == pytest.approx(
        9 * float(each[0]) / 2, rel=1e-5
    )
    silent = {**batch, "teacher": torch.zeros(2, 2)}
    assert float(divergence(ours, silent, 3.0)) == 0


def test_each_word_has_the_logits_that_its_teacher_gives_it(
    lesson: Path, corpora: dict[str, Splits], tmp_path: Path
) -> None:
    splits = corpora["brown"]
    teacher = load_predictor(lesson / TEACHER).model
    corpus = tagging.read_corpus(load_backbone(lesson), splits)  # type: ignore[arg-type]
    read = read_lesson(lesson, of_both(splits), "tagging", corpus.classes, tmp_path)
    assert (read.temperature, read.weight) == (2.0, 0.9)
    rows = np.arange(corpus.num_train)[::-1].copy()  # in another order
    batch = read.beside(corpus.examples.take(rows), rows).batch(np.array([3, 0, 8]))
    with torch.inference_mode():
        logits = teacher.logits(batch).float()
    is_word = batch["number"] >= 0
    assert int(is_word.sum()) > 10
    torch.testing.assert_close(batch["teacher"][is_word], logits[is_word], atol=5e-3, rtol=2e-3)


def test_logits_that_are_there_are_not_computed_again(
    lesson: Path, corpora: dict[str, Splits], tmp_path: Path
) -> None:
    splits = corpora["brown"]
    outputs = load_predictor(lesson / TEACHER).model.outputs

    def read() -> Lesson:
        return read_lesson(lesson, of_both(splits), "tagging", outputs, tmp_path)

    first = read()
    written = (tmp_path / LOGITS).stat()
    assert isinstance(first.logits, np.memmap)
    assert np.array_equal(read().logits, first.logits)
    again = (tmp_path / LOGITS).stat()
    assert (again.st_mtime_ns, again.st_ino) == (written.st_mtime_ns, written.st_ino)


def test_a_teacher_of_other_labels_is_refused_in_one_line(
    lesson: Path, corpora: dict[str, Splits], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"teacher answers with other labels than the student"):
        read_lesson(lesson, of_both(corpora["brown"]), "tagging", ["a", "b"], tmp_path)
    with pytest.raises(BadInput, match=r"teacher answers with other labels than the student"):
        read_lesson(lesson, of_both(corpora["brown"]), None, ["a", "b"], tmp_path)


def test_a_student_of_fewer_labels_has_their_logits_alone(
    lesson: Path, corpora: dict[str, Splits], tmp_path: Path
) -> None:
    splits = of_both(corpora["brown"])
    outputs = load_predictor(lesson / TEACHER).model.outputs
    some = [*outputs[::-2]]
    whole, part = (
        read_lesson(lesson, splits, "tagging", names, tmp_path / str(number))
        for number, names in enumerate((outputs, some))
    )
    assert np.array_equal(part.logits, whole.logits[:, ::-2])


@pytest.mark.parametrize("more", [{}, {"mode": "frozen"}, {"wide": {"words": [1, 1]}}])
def test_a_student_of_classes_learns_from_its_teacher_alone_where_labels_count_nothing(
    more: dict[str, Any], texts: tuple[Path, Path], vectors: Path, tmp_path: Path
) -> None:
    from tasks.models.classifier import load_classifier

    settings = FinetuneSettings.parse(
        {"epochs": 4, "learning_rate": 0.02, "tokens": 48, "twin": False, **more}, "finetune"
    )

    def trained(name: str, on: Path, train: Path) -> Path:
        out, splits = tmp_path / name, {"train": train, "validation": texts[1]}
        finetune.run("small", on, splits, out, settings, 0, tmp_path / f"{name}-checkpoints")  # type: ignore[arg-type]
        return out / "model"

    teacher = trained("teacher", vectors, texts[0])
    run(vectors, teacher, "topics", tmp_path / "put", Settings(weight=1.0, temperature=1.0))
    student = trained("student", tmp_path / "put/model", with_wrong_labels(texts[0], tmp_path))
    contents = records.read_table(texts[0], ["text"])["text"].to_pylist()
    scores = [load_classifier(folder).scores(contents) for folder in (teacher, student)]
    agree = (scores[0].argmax(-1) == scores[1].argmax(-1)).mean()
    assert agree > 0.7  # by the labels that it was shown: below 0.3
    assert not np.array_equal(*scores)
    assert labels_of(student) == ["topics"]
    assert description(student)["teacher"] == {
        "weights_sha256": files.sha256(teacher / "model.safetensors"),
        "temperature": 1.0,
        "weight": 1.0,
    }


def with_wrong_labels(path: Path, folder: Path) -> Path:
    """Return the same records, each with the label of the record before it."""
    table = records.read_table(path)
    labels = table["label"].to_pylist()
    moved = pa.array([*labels[-1:], *labels[:-1]], pa.string())
    place = table.column_names.index("label")
    table = table.set_column(place, table.schema.field("label"), moved)
    target = folder / "wrong" / path.name
    target.parent.mkdir()
    records.write_records(target, table.schema, table.to_batches())
    return target


def test_a_student_tagger_that_was_killed_ends_with_the_same_bytes(
    lesson: Path, corpora: dict[str, Splits], tmp_path: Path
) -> None:
    splits = corpora["brown"]
    settings = {"head": "tagging", "epochs": 2, "batch_size": 16, "learning_rate": 0.01}
    trained_on = tuple(splits[part] for part in paths.TRAINED_ON)
    job = Job(
        tmp_path / "undisturbed",
        trained_on,
        "finetune",
        backbone=lesson,
        settings=settings,  # type: ignore[arg-type]
    )
    printed = job.run()
    assert "the teacher's answers to" in printed
    assert fault_when_killed(job, tmp_path / "killed", (everything,)) is None
