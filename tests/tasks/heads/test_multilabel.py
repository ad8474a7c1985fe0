"""Multilabel: its metrics against another implementation, its threshold, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, f1_score

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.evaluate import stage as evaluate
from tasks.evaluate.settings import Settings as EvaluateSettings
from tasks.heads import multilabel
from tasks.heads._model import load_predictor
from tasks.heads.multilabel import Answer
from tasks.metrics.scores import once_each
from tasks.models.text import TextBackbone
from tests.tasks.heads.conftest import Finetuned, Splits

LABELS = ["a", "b", "c"]


def answers_of(given: np.ndarray, scores: np.ndarray) -> list[Answer]:
    """Return answers with some labels and the scores of all."""
    return [
        {
            "labels": [name for name, has in zip(LABELS, row, strict=True) if has],
            "scores": [{"label": n, "score": s} for n, s in zip(LABELS, own, strict=True)],
        }
        for row, own in zip(given, scores.tolist(), strict=True)
    ]


def test_metrics_are_those_of_another_implementation_on_every_resample() -> None:
    random = np.random.default_rng(5)
    wanted = random.integers(0, 2, (40, 3))
    scores = np.round(random.random((40, 3)) / 2 + wanted / 3, 1)  # many of them equal
    given = scores > 0.5
    counts = np.stack([np.ones(40), random.multinomial(40, np.ones(40) / 40)])
    prepared = multilabel.prepare(answers_of(wanted, scores), answers_of(given, scores), LABELS)
    measured = {n: f(counts, prepared) for n, f in multilabel.measures(LABELS).items()}
    for row, times in enumerate(counts.astype(int)):
        true, found, sure = (np.repeat(one, times, axis=0) for one in (wanted, given, scores))
        expected = {
            "micro_f1": f1_score(true, found, average="micro"),
            "macro_f1": f1_score(true, found, average="macro"),
            "subset_accuracy": (true == found).all(axis=1).mean(),
            "mean_average_precision": average_precision_score(true, sure, average="macro"),
        }
        assert {name: values[row] for name, values in measured.items()} == pytest.approx(expected)


def test_a_label_that_no_model_knows_is_missed_and_one_without_records_does_not_count() -> None:
    true: list[Answer] = [{"labels": ["a", "z"], "scores": []}, {"labels": [], "scores": []}]
    given = answers_of(np.array([[1, 0, 0], [0, 0, 0]]), np.array([[0.9, 0, 0], [0.1, 0, 0]]))
    prepared = multilabel.prepare(true, given, LABELS)
    measured = {n: f(once_each(2), prepared)[0] for n, f in multilabel.measures(LABELS).items()}
    # One of two true labels is found; "a" perfectly, "z" never: all records stand at one rank.
    assert measured == pytest.approx(
        {
            "micro_f1": 2 / 3,
            "macro_f1": 0.5,
            "subset_accuracy": 0.5,
            "mean_average_precision": (1 + 0.5) / 2,
        }
    )
    assert multilabel.errors(true, given).tolist() == [1, 0]
    assert multilabel.shown("", true[0], true) == "a, z"
    assert multilabel.shown("", true[1], true) == "no label"


def test_the_threshold_is_the_one_with_the_best_micro_f1() -> None:
    random = np.random.default_rng(7)
    wanted = random.integers(0, 2, (30, 3))
    scores = np.round(random.random((30, 3)) / 2 + wanted / 4, 2)
    chosen = multilabel.best_threshold(scores, wanted)

    def f1_over(threshold: float) -> float:
        return float(f1_score(wanted, scores > threshold, average="micro"))

    assert f1_over(chosen) == max(f1_over(threshold) for threshold in np.linspace(-0.005, 1, 202))
    assert multilabel.best_threshold(np.array([[0.2, 0.4]]), np.array([[0, 0]])) == 0.5
    assert multilabel.best_threshold(np.array([[0.2, 0.4]]), np.array([[1, 1]])) == 0.1


def test_the_threshold_of_the_validation_split_is_kept_with_the_model_and_served(
    finetuned: Callable[[str], Finetuned],
) -> None:
    predictor = load_predictor(finetuned("multilabel").model)
    threshold = predictor.model.facts["threshold"]
    validation = pq.read_table(finetuned("multilabel").splits["validation"])
    given = predictor.answers(validation["text"].to_pylist())
    scores = np.array([[one["score"] for one in answer["scores"]] for answer in given])
    true = multilabel.true_of(validation)
    wanted = np.array([[n in one["labels"] for n in predictor.model.outputs] for one in true])
    assert threshold == pytest.approx(multilabel.best_threshold(scores, wanted), abs=1e-6)
    (row,) = predictor.served(["These pants are even better in person."])
    assert row["labels"] == [name for name, score in row["scores"].items() if score > threshold]
    assert list(row["scores"]) == predictor.model.outputs
    with pytest.raises(BadInput, match="record 0 is not a text but 5"):
        predictor.served([5])


def test_records_without_labels_and_labels_all_alike_are_refused(
    corpora: dict[str, Splits], backbone: Path, tmp_path: Path
) -> None:
    table = records.read_table(corpora["reviews"]["train"])
    place = table.schema.get_field_index("labels")
    many = table.num_rows
    columns = {"none": [[]] * many, "same": [["x"]] * many, "null": [None, *[["x"]] * (many - 1)]}
    for name, column in columns.items():
        field = table.schema.field(place)
        changed = table.set_column(place, field, pa.array(column, field.type))
        records.write_records(tmp_path / name, changed.schema, changed.to_batches())
    loaded, validation = TextBackbone(backbone), corpora["reviews"]["validation"]
    for name, message in (
        ("none", "all records have the same labels: nothing can be learnt"),
        ("same", "all records have the same labels: nothing can be learnt"),
        ("null", r"1 of \d+ records have no labels: drop them from the source"),
    ):
        with pytest.raises(BadInput, match=message):
            multilabel.read_corpus(loaded, {"train": tmp_path / name, "validation": validation})


def test_labels_of_test_that_train_lacks_are_told_on_the_card(
    finetuned: Callable[[str], Finetuned], tmp_path: Path
) -> None:
    made = finetuned("multilabel")
    table = records.read_table(made.splits["test"])
    place = table.schema.get_field_index("labels")
    field = table.schema.field(place)
    labels = [["Tops", "z"], *table["labels"].to_pylist()[1:]]
    changed = table.set_column(place, field, pa.array(labels, field.type))
    path = tmp_path / "reviews" / "test.parquet"
    records.write_records(path, changed.schema, changed.to_batches())
    splits: Splits = {**made.splits, "test": path}
    folders = made.model, made.model.with_name("twin")
    settings = EvaluateSettings(bootstrap_samples=100)
    metrics = evaluate.run("small", *folders, splits, tmp_path / "evidence", settings, 0)
    card = (tmp_path / "evidence" / "README.md").read_text()
    assert "The test records have what train lacks: z. The model never answers with it" in card
    assert {"name": "records with z", "records": 1}.items() <= next(
        one for one in metrics["slices"] if one["name"] == "records with z"
    ).items()
    assert "lacks" not in (made.evidence / "README.md").read_text()


def test_the_linear_baseline_ranks_better_than_shares_do(
    corpora: dict[str, Splits],
) -> None:
    train, test = (records.read_table(corpora["reviews"][part]) for part in ("train", "test"))
    true, known = multilabel.true_of(test), sorted(multilabel.names_in(multilabel.true_of(train)))
    found = {
        who: multilabel.measures(known)["mean_average_precision"](
            once_each(len(true)), multilabel.prepare(true, given, known)
        )[0]
        for who, given in multilabel.baselines(train, test).items()
    }
    assert 0.1 < found["simple"] < found["linear"] - 0.05 < 0.8
