"""The test records, and what a classifier says about them; ``predictions.parquet`` holds both."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import records
from tasks.contracts.records import Modality
from tasks.errors import BadInput
from tasks.metrics.scores import Answers, Floats, Ints, Scored
from tasks.progress import progress

RECORDS_AT_ONCE = 1024
# A column of predictions.parquet is named so, and then by a class.
SCORE = "score_"


@dataclass(frozen=True)
class Labelled:
    """The labelled records of a split."""

    modality: Modality
    ids: list[str]
    contents: list[Any]
    labels: list[str]
    num_unlabelled: int


@dataclass(frozen=True)
class Predictions:
    """What a model says about test records, and what is true."""

    ids: list[str]
    labels: list[str]
    """The classes, in the order of the scores."""
    scored: Scored


def read_labelled(path: Path) -> Labelled:
    """Read the records of a split that have a label, in the file's order.

    Raises:
        BadInput: no record has one.
    """
    table = records.read_table(path)
    modality = records.modality_of(table.schema)
    labelled = table.filter(pc.is_valid(table["label"]))
    if labelled.num_rows == 0:
        raise BadInput(
            f"{path}: none of {table.num_rows} records has a label: a model can be evaluated only "
            "on a corpus with labels"
        )
    return Labelled(
        modality=modality,
        ids=labelled["id"].to_pylist(),
        contents=labelled[modality].to_pylist(),
        labels=labelled["label"].to_pylist(),
        num_unlabelled=table.num_rows - labelled.num_rows,
    )


def label_indices(labels: Sequence[str], known: list[str], where: Path, model: Path) -> Ints:
    """Return each label's index among the classes that the model knows, N.

    Args:
        labels: one a record, N.
        known: the model's classes.
        where: the file with the labels, for the error.
        model: the model, for the error.

    Raises:
        BadInput: a label is none of them.
    """
    index_of = {label: index for index, label in enumerate(known)}
    unknown = sorted(set(labels) - set(index_of))
    if unknown:
        raise BadInput(
            f"{where}: {model} does not know the label {unknown[0]!r} ({len(unknown)} such), only "
            f"{', '.join(known[:10])}: finetune it on this corpus"
        )
    return np.array([index_of[label] for label in labels], dtype=np.int64)


def classify(
    who: str, score: Callable[[slice], npt.ArrayLike], test: Labelled, true: Ints
) -> Scored:
    """Score all test records.

    Args:
        who: what the model is called while it works, and where it fails.
        score: gives the probability of each class for a slice of the records, one row each, N K.
        test: the records.
        true: the index of each record's true class, N.

    Raises:
        BadInput: a score is NaN or infinite.
    """
    batches: list[Floats] = []
    with progress(f"scoring ({who})", len(test.ids)) as reporter:
        for start in range(0, len(test.ids), RECORDS_AT_ONCE):
            scores_of_some = score(slice(start, start + RECORDS_AT_ONCE))
            batches.append(np.asarray(scores_of_some, dtype=np.float64))
            reporter.advance(len(batches[-1]))
    scores = np.concatenate(batches)
    if not np.isfinite(scores).all():
        record = test.ids[int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])]
        raise BadInput(
            f"the {who} gives record {record} a score that is not a number: its training diverged; "
            "lower finetune.learning_rate"
        )
    return Scored(true, scores.argmax(axis=1), scores)


def write_predictions(
    path: Path,
    test: Labelled,
    known: list[str],
    model: Scored,
    baselines: Mapping[str, Answers],
) -> None:
    """Write one row a labelled test record, in the order of ``test.parquet``.

    Columns: ``id``, ``label``, ``predicted``, the model's probability of each class as
    ``score_<class>``, ``twin_predicted`` (null without a twin), ``linear_predicted``, and of texts
    ``nb_svm_predicted``.

    Args:
        path: the file that is written.
        test: the test records.
        known: the model's classes.
        model: what the model says.
        baselines: what ``twin``, ``linear`` and ``nb_svm`` say; each may be missing.
    """
    names = np.array(known, dtype=object)
    columns: dict[str, Any] = {
        "id": pa.array(test.ids, pa.string()),
        "label": pa.array(test.labels, pa.string()),
        "predicted": _strings(names[model.predicted]),
        **{f"{SCORE}{label}": model.scores[:, index] for index, label in enumerate(known)},
    }
    for who in ("twin", "linear", *(["nb_svm"] if "nb_svm" in baselines else [])):
        answers = baselines.get(who)
        columns[f"{who}_predicted"] = (
            _strings(names[answers.predicted]) if answers else pa.nulls(len(test.ids), pa.string())
        )
    table = pa.table(columns)
    records.write_records(path, table.schema, table.to_batches())


def _strings(names: Any) -> pa.Array:
    return pa.array(list(names), pa.string())


def read_predictions(path: Path) -> Predictions:
    """Read what ``write_predictions`` wrote, without the baselines.

    Raises:
        BadInput: the file is not such a table.
    """
    table = records.read_table(path)
    missing = {"id", "label", "predicted"} - set(table.column_names)
    known = [name.removeprefix(SCORE) for name in table.column_names if name.startswith(SCORE)]
    if missing or not known:
        raise BadInput(
            f"{path} holds no predictions (no column {', '.join(sorted(missing) or [SCORE + '…'])})"
            ": run evaluate again"
        )
    true = table["label"].to_pylist()
    labels = [*known, *sorted(set(true) - set(known))]
    scores = np.zeros((table.num_rows, len(labels)))
    for number, label in enumerate(known):
        scores[:, number] = table[f"{SCORE}{label}"].to_numpy()
    predicted = label_indices(table["predicted"].to_pylist(), labels, path, path)
    return Predictions(
        table["id"].to_pylist(),
        labels,
        Scored(label_indices(true, labels, path, path), predicted, scores),
    )


def predict(folder: Path, test: Labelled, who: str = "champion") -> Predictions:
    """Score test records with the model in a folder, as ``evaluate`` does.

    A class that the model does not know is one that it never gives: a champion may be older than a
    class of today's test split.

    Args:
        folder: the finetuned model's folder.
        test: the records.
        who: what the model is called while it works, and where it fails.
    """
    from tasks.models.classifier import load_classifier

    classifier = load_classifier(folder)
    labels = [*classifier.labels, *sorted(set(test.labels) - set(classifier.labels))]
    true = label_indices(test.labels, labels, folder, folder)
    scored = classify(who, lambda some: classifier.scores(test.contents[some]), test, true)
    unknown = np.zeros((len(true), len(labels) - len(classifier.labels)))
    scores = np.concatenate([scored.scores, unknown], axis=1)
    return Predictions(test.ids, labels, Scored(true, scored.predicted, scores))
