"""How much a frozen backbone knows of a corpus' labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.contracts import files, records
from tasks.objectives import _linear_probe
from tasks.objectives._linear_probe import linear_probe
from tasks.pretrain import stage
from tasks.pretrain.settings import Settings

Splits = tuple[Path, Path]
VECTORS: dict[str, Any] = {
    "objective": "cooccurrence",
    "architecture": "wordvectors",
    "cooccurrence": {"vocabulary_size": 500},
    "wordvectors": {"hidden_size": 32},
}
CONVNET = {
    "objective": "classification",
    "architecture": "convnet",
    "convnet": {"channels": 8, "hidden_size": 32},
    "training": {"epochs": 4, "learning_rate": 0.01},
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pretrained(splits: Splits, row: dict[str, Any], output: str = "out") -> dict[str, float]:
    settings = Settings.parse(row, "pretrain")
    checkpoints = Path(f"{output}-checkpoints")
    metrics = stage.run("row", *splits, Path(output), settings, 0, checkpoints)
    assert files.read_json(Path(output) / "metrics.json") == files.rounded(metrics)
    figures: dict[str, float] = metrics["validation"]
    return figures


def unlabelled(split: Path, target: Path, kept: int) -> Path:
    """Write a split in which but the first few records have no label."""
    schema = records.split_schema("text")
    rows = records.read_table(split).to_pylist()
    rows = [{**row, "label": row["label"] if i < kept else None} for i, row in enumerate(rows)]
    records.write_records(target, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    return target


def test_word_vectors_know_more_of_labels_than_the_largest_class(texts: Splits) -> None:
    figures = pretrained(texts, VECTORS)
    majority = figures["linear_probe_majority_accuracy"]
    assert figures["linear_probe_accuracy"] > majority + 0.2
    assert majority < figures["linear_probe_few_accuracy"] <= figures["linear_probe_accuracy"]
    again = linear_probe(Path("out/model"), texts, 1000, supervised=False)
    assert {name: figures[name] for name in again} == again


def test_the_probe_is_a_regression_on_the_means_of_states(texts: Splits) -> None:
    from sklearn.linear_model import LogisticRegression

    from tasks.models.model import load_backbone

    found = pretrained(texts, VECTORS)["linear_probe_accuracy"]
    backbone: Any = load_backbone(Path("out/model"))
    vectors = backbone.model(["any"]).encoder.embedding.weight.detach().numpy()
    backbone.tokenizer.enable_truncation(128)
    features, labels = [], []
    for split in texts:
        table = records.read_table(split)
        ids = [backbone.tokenizer.encode(text).ids for text in table["text"].to_pylist()]
        features.append(np.array([vectors[some].mean(axis=0) for some in ids]))
        labels.append(table["label"].to_pylist())
    centred = [part - features[0].mean(axis=0) for part in features]
    scaled = [part / np.sqrt((centred[0] ** 2).mean()) for part in centred]
    probe = LogisticRegression(max_iter=1000).fit(scaled[0], labels[0])
    # A few records lie on the border, where the last digits decide.
    assert found == pytest.approx(probe.score(scaled[1], labels[1]), abs=0.02)


def test_labels_that_a_backbone_has_learnt_are_said_to_be(images: Splits) -> None:
    figures = pretrained(images, CONVNET)
    probed = {name for name in figures if "linear_probe" in name}
    assert probed == {
        f"supervised_linear_probe_{what}"
        for what in ("accuracy", "few_accuracy", "majority_accuracy")
    }
    assert figures["supervised_linear_probe_accuracy"] > 0.6


def test_no_label_reaches_a_weight_and_a_corpus_without_labels_has_no_probe(
    texts: Splits, tmp_path: Path
) -> None:
    with_labels = pretrained(texts, VECTORS, "with")
    bare: Any = [unlabelled(split, tmp_path / split.name, 0) for split in texts]
    without = pretrained(tuple(bare), VECTORS, "without")
    assert without == {n: v for n, v in with_labels.items() if "linear_probe" not in n}
    hashes = [files.sha256(Path(name) / "model/model.safetensors") for name in ("with", "without")]
    assert hashes[0] == hashes[1]


def test_of_a_corpus_with_some_labels_those_are_probed_with(texts: Splits, tmp_path: Path) -> None:
    some: Any = [unlabelled(split, tmp_path / split.name, 40) for split in texts]
    assert pretrained(tuple(some), VECTORS)["linear_probe_accuracy"] > 0.5


def test_so_many_records_are_taken_as_are_asked_for_and_none_if_none_are(
    texts: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "linear_probe_accuracy" not in pretrained(texts, {**VECTORS, "linear_probe": 0})
    taken = [len(_linear_probe._some_labelled(texts[0], number)) for number in (7, 10_000)]
    assert taken == [7, records.read_table(texts[0]).num_rows]
