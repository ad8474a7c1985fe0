"""Records are read and predictions written in order."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.metrics.predictions import (
    classify,
    label_indices,
    predict,
    read_labelled,
    read_predictions,
    write_predictions,
)
from tasks.metrics.scores import Answers
from tests.classifiers import save_text_classifier


def _scores(contents: Any) -> Any:
    """Return a tenth of the number of letters, and the rest; five letters give no number."""
    rows = [[len(text) / 10, 1 - len(text) / 10] for text in contents]
    return np.array([[np.nan] * 2 if row[0] == 0.5 else row for row in rows], np.float32)


def _split(path: Path, texts: list[str], labels: list[str | None]) -> Path:
    schema = records.split_schema("text")
    ids = [f"id{n}" for n in range(len(texts))]
    records.write_records(path, schema, [pa.record_batch([ids, texts, labels], schema=schema)])
    return path


def test_records_are_read_in_order_and_those_without_a_label_counted(tmp_path: Path) -> None:
    test = read_labelled(_split(tmp_path / "test.parquet", ["x", "yy", "z"], ["a", None, "b"]))
    assert (test.ids, test.contents, test.labels) == (["id0", "id2"], ["x", "z"], ["a", "b"])
    assert test.num_unlabelled == 1


def test_predictions_hold_every_score_and_every_rival(tmp_path: Path) -> None:
    test = read_labelled(_split(tmp_path / "test.parquet", ["x", "long text"], ["short", "long"]))
    true = label_indices(test.labels, ["long", "short"], tmp_path, tmp_path)
    scored = classify("model", lambda some: _scores(test.contents[some]), test, true)
    linear = Answers(true, np.array([0, 0]))
    path = tmp_path / "predictions.parquet"
    of_texts = {"linear": linear, "nb_svm": linear}
    write_predictions(path, test, ["long", "short"], scored, of_texts)
    assert records.read_table(path)["nb_svm_predicted"].to_pylist() == ["long", "long"]
    write_predictions(path, test, ["long", "short"], scored, {"linear": linear})
    assert records.read_table(path).to_pylist() == [
        {
            "id": "id0",
            "label": "short",
            "predicted": "short",
            "score_long": pytest.approx(0.1),
            "score_short": pytest.approx(0.9),
            "twin_predicted": None,
            "linear_predicted": "long",
        },
        {
            "id": "id1",
            "label": "long",
            "predicted": "long",
            "score_long": pytest.approx(0.9),
            "score_short": pytest.approx(0.1),
            "twin_predicted": None,
            "linear_predicted": "long",
        },
    ]


def test_a_score_that_is_not_a_number_names_the_record(tmp_path: Path) -> None:
    test = read_labelled(_split(tmp_path / "test.parquet", ["x", "fifth"], ["short", "long"]))
    with pytest.raises(BadInput, match="the twin gives record id1 a score that is not a number"):
        classify("twin", lambda some: _scores(test.contents[some]), test, np.array([1, 0]))


def test_an_unknown_label_names_the_file_and_what_is_known() -> None:
    with pytest.raises(
        BadInput, match=r"^test: m does not know the label 'c' \(1 such\), only a, b"
    ):
        label_indices(["a", "c"], ["a", "b"], Path("test"), Path("m"))


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    texts = ["x", "long text", "four"]
    test = read_labelled(_split(tmp_path / "test.parquet", texts, ["short", "long", "long"]))
    true = label_indices(test.labels, ["long", "short"], tmp_path, tmp_path)
    scored = classify("model", lambda some: _scores(test.contents[some]), test, true)
    path = tmp_path / "predictions.parquet"
    write_predictions(path, test, ["long", "short"], scored, {})
    found = read_predictions(path)
    assert (found.ids, found.labels) == (test.ids, ["long", "short"])
    assert found.scored.true.tolist() == [1, 0, 0]
    assert found.scored.predicted.tolist() == scored.predicted.tolist() == [1, 0, 1]
    assert found.scored.scores.tolist() == scored.scores.tolist()


def test_a_table_without_scores_holds_no_predictions(tmp_path: Path) -> None:
    path = _split(tmp_path / "test.parquet", ["x"], ["short"])
    with pytest.raises(
        BadInput,
        match=r"test\.parquet holds no predictions \(no column predicted\): run evaluate again",
    ):
        read_predictions(path)


def test_an_older_model_is_wrong_on_a_class_that_it_does_not_know(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_text_classifier(folder, "lstm", {"hidden_size": 8})
    test = read_labelled(_split(tmp_path / "test.parquet", ["oil price", "x"], ["crude", "zinc"]))
    found = predict(folder, test)
    assert found.labels == ["acq", "crude", "earn", "trade", "zinc"]
    assert found.scored.true.tolist() == [1, 4]
    assert found.scored.scores[:, 4].tolist() == [0.0, 0.0]
    assert not found.scored.correct[1]
