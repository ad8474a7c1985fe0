"""The whole stage, on real models and real digits."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from tasks.contracts import files
from tasks.contracts.paths import PARTS, Part
from tasks.errors import BadInput
from tasks.evaluate.settings import Settings
from tasks.evaluate.stage import _score, run
from tasks.metrics.predictions import read_labelled
from tasks.models.classifier import load_classifier
from tests.classifiers import sample_texts, save_text_classifier, write_finetuned_on
from tests.tasks.evaluate.conftest import write_split

Digits = tuple[Path, Path, dict[Part, Path]]
QUICK = Settings(bootstrap_samples=200)
SMALL_BERT = {"layers": 1, "hidden_size": 16, "heads": 2, "positions": 64}


@pytest.fixture(scope="module")
def output(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, twin, splits = digits
    folder = tmp_path_factory.mktemp("evaluate")
    run("some-digits", model, twin, splits, folder, QUICK, 0)
    return folder


def test_metrics_are_those_that_sklearn_takes_from_the_predictions(output: Path) -> None:
    metrics = files.read_json(output / "metrics.json")
    table = pq.read_table(output / "predictions.parquet").to_pandas()
    scores = table[[name for name in table if name.startswith("score_")]].to_numpy()
    linear, twin = metrics["baselines"]["linear"], metrics["baselines"]["twin"]
    assert metrics["n_test"] == len(table) == 300
    assert metrics["accuracy"] == pytest.approx((table.label == table.predicted).mean(), abs=1e-6)
    assert metrics["macro_f1"] == pytest.approx(
        f1_score(table.label, table.predicted, average="macro"), abs=1e-6
    )
    area = roc_auc_score(table.label, scores, multi_class="ovr")
    assert metrics["roc_auc"] == pytest.approx(area, abs=1e-6)
    assert twin["accuracy"] == round(accuracy_score(table.label, table.twin_predicted), 6)
    assert linear["accuracy"] == round(accuracy_score(table.label, table.linear_predicted), 6)
    assert metrics["gain"] == pytest.approx(metrics["accuracy"] - twin["accuracy"], abs=1e-6)
    assert metrics["accuracy"] > 0.8
    assert linear["accuracy"] > 0.8


def test_metrics_have_the_keys_that_others_rely_on(output: Path) -> None:
    metrics = files.read_json(output / "metrics.json")
    plain = ["accuracy", "macro_precision", "macro_recall", "macro_f1", "roc_auc", "ece"]
    details = ["gain", "baselines", "against", "intervals", "slices"]
    assert list(metrics) == [*plain, "n_test", *details]
    assert set(metrics["intervals"]) == {*plain, "gain"}
    for name in [*plain, "gain"]:
        low, high = metrics["intervals"][name]
        assert low <= metrics[name] <= high, name


def test_predictions_stand_in_the_order_of_the_test_split(output: Path, digits: Digits) -> None:
    test = pq.read_table(digits[2]["test"])
    predictions = pq.read_table(output / "predictions.parquet")
    assert predictions["id"].to_pylist() == test["id"].to_pylist()
    assert predictions["label"].to_pylist() == test["label"].to_pylist()
    assert predictions.column_names[:4] == ["id", "label", "predicted", "score_digit 0"]


def test_the_same_inputs_give_the_same_bytes(output: Path, digits: Digits, tmp_path: Path) -> None:
    model, twin, splits = digits
    run("some-digits", model, twin, splits, tmp_path, QUICK, 0)
    assert files.sha256_of_folder(tmp_path) == files.sha256_of_folder(output)
    other = tmp_path / "other"
    run("some-digits", model, twin, splits, other, QUICK, 1)
    assert files.sha256_of_folder(other) != files.sha256_of_folder(output)


def test_scores_are_computed_as_repeatably_as_a_training(digits: Digits, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(2)
    model, twin, splits = digits
    run("some-digits", model, twin, splits, tmp_path, QUICK, 0)
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 1  # what tests compute with


def test_without_a_twin_gain_is_null(digits: Digits, tmp_path: Path) -> None:
    model, _, splits = digits
    files.write_json(tmp_path / "twin" / "downstream.json", {"trained": False})
    run("digits", model, tmp_path / "twin", splits, tmp_path / "out", QUICK, 0)
    metrics = files.read_json(tmp_path / "out" / "metrics.json")
    assert metrics["gain"] is None
    assert metrics["baselines"]["twin"] == {"accuracy": None, "macro_f1": None}
    predictions = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert predictions["twin_predicted"].null_count == 300
    assert "No twin was trained" in (tmp_path / "out" / "README.md").read_text()


def _with_test_labels(digits: Digits, path: Path, labels: list[str | None]) -> dict[Part, Path]:
    table = pq.read_table(digits[2]["test"]).slice(0, len(labels))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table.set_column(2, table.schema.field("label"), pa.array(labels, pa.string())), path
    )
    return {**digits[2], "test": path}


def test_one_test_record_gives_nulls_and_no_crash(digits: Digits, tmp_path: Path) -> None:
    model, twin, _ = digits
    splits = _with_test_labels(digits, tmp_path / "tiny" / "test.parquet", ["digit 3"])
    run("digits", model, twin, splits, tmp_path / "out", QUICK, 0)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["n_test"] == 1
    assert metrics["roc_auc"] is None
    assert metrics["intervals"]["roc_auc"] is None
    assert metrics["undefined"] == {"roc_auc": "all test records are of one class"}


def test_test_records_without_a_label_are_left_out_and_counted(
    digits: Digits, tmp_path: Path
) -> None:
    model, twin, _ = digits
    labels = [None, "digit 1", "digit 2", None]
    splits = _with_test_labels(digits, tmp_path / "part" / "test.parquet", labels)
    run("digits", model, twin, splits, tmp_path / "out", QUICK, 0)
    assert files.read_json(tmp_path / "out" / "metrics.json")["n_test"] == 2
    assert "2 test records have no label" in (tmp_path / "out" / "README.md").read_text()


def test_a_label_that_the_model_does_not_know_is_refused(digits: Digits, tmp_path: Path) -> None:
    model, twin, _ = digits
    splits = _with_test_labels(digits, tmp_path / "odd" / "test.parquet", ["digit 1", "letter a"])
    with pytest.raises(BadInput, match=r"odd/test\.parquet: .*does not know the label 'letter a'"):
        run("digits", model, twin, splits, tmp_path / "out", QUICK, 0)


def test_a_test_split_without_any_label_is_refused(digits: Digits, tmp_path: Path) -> None:
    model, twin, _ = digits
    splits = _with_test_labels(digits, tmp_path / "none" / "test.parquet", [None, None])
    with pytest.raises(BadInput, match=r"none/test\.parquet: none of 2 records has a label"):
        run("digits", model, twin, splits, tmp_path / "out", QUICK, 0)


def test_texts_have_a_second_baseline_on_the_same_records(tmp_path: Path) -> None:
    model = tmp_path / "model"
    save_text_classifier(model, "bert", SMALL_BERT)
    texts, labels = sample_texts()
    splits = {
        part: write_split(tmp_path / "news" / f"{part}.parquet", texts[n::3], labels[n::3])
        for n, part in enumerate(PARTS)
    }
    write_finetuned_on(tmp_path, splits["train"])
    files.write_json(tmp_path / "twin" / "downstream.json", {"trained": False})
    metrics = run("topics", model, tmp_path / "twin", splits, tmp_path / "out", QUICK, 0)
    table = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pandas()
    accuracy = accuracy_score(table.label, table.nb_svm_predicted)
    assert metrics["baselines"]["nb_svm"]["accuracy"] == round(accuracy, 6) > 0.8
    assert metrics["against"]["nb_svm"]["verdict"] == "behind"
    assert "| NB-SVM baseline |" in (tmp_path / "out" / "README.md").read_text()


def test_texts_are_scored_from_the_token_cache_as_they_would_be_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_text_classifier(tmp_path / "model", "bert", SMALL_BERT)
    classifier = load_classifier(tmp_path / "model")
    texts, labels = sample_texts()
    some_unlabelled = [None if place % 3 == 1 else label for place, label in enumerate(labels)]
    split = write_split(tmp_path / "test.parquet", texts, some_unlabelled)
    test = read_labelled(split)
    score = _score(classifier, split, test)
    monkeypatch.setattr(classifier.model, "inputs", None)  # nothing is tokenised in memory
    everything = np.asarray(score(slice(None)))
    monkeypatch.undo()
    assert everything.tobytes() == classifier.scores(test.contents).tobytes()
    assert len(everything) == len(test.ids) < len(texts)
