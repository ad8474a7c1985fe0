"""Likely wrong labels: planted ones are found, reported, and changed by nobody."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from flows.cli.data import labels
from flows.corpora.labels import likely_wrong, review_labels
from tasks.contracts import paths
from tasks.contracts.records import split_schema, write_records
from tasks.errors import BadInput
from tasks.metrics.predictions import Labelled

WORDS = {
    "sport": "match goal team player coach season league score win cup",
    "money": "bank share profit price market trade fund rate stock loan",
    "food": "bread soup rice fish salt oven taste cook plate spice",
}


def texts(number: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return short texts of three topics, with words that all of them have."""
    random = np.random.default_rng(seed)
    found, labels = [], []
    for row in range(number):
        label = sorted(WORDS)[row % 3]
        words = [*random.choice(WORDS[label].split(), 6), *random.choice(["the", "a", "of"], 4)]
        found.append(" ".join([*map(str, words), f"n{row}"]))
        labels.append(label)
    return found, labels


def with_wrong(labels: list[str], share: float) -> tuple[list[str], set[int]]:
    """Return the labels with a share of them replaced, and which."""
    random = np.random.default_rng(1)
    wrong = {int(row) for row in random.choice(len(labels), round(share * len(labels)), False)}
    names = sorted(set(labels))
    return [
        str(random.choice([name for name in names if name != label])) if row in wrong else label
        for row, label in enumerate(labels)
    ], wrong


def given(contents: list[object], labels: list[str]) -> Labelled:
    modality = "text" if isinstance(contents[0], str) else "image"
    ids = [f"{row:064x}" for row in range(len(labels))]
    return Labelled(modality, ids, contents, labels, 0)  # type: ignore[arg-type]


def found_of(contents: list[object], labels: list[str], wrong: set[int]) -> tuple[float, float]:
    """Return precision and recall."""
    review = likely_wrong(given(contents, labels))
    rows = {int(suspect.identity, 16) for suspect in review.suspects}
    return len(rows & wrong) / len(rows), len(rows & wrong) / len(wrong)


def test_planted_wrong_labels_of_texts_are_found() -> None:
    contents, true = texts(600)
    labels, wrong = with_wrong(true, 0.05)
    precision, recall = found_of([*contents], labels, wrong)
    assert precision == 1.0
    assert recall >= 0.9


def test_planted_wrong_labels_of_images_are_found() -> None:
    digits = load_digits()
    contents: list[object] = []
    for pixels in (digits.images * 255 / 16).astype("uint8"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        contents.append(file.getvalue())
    labels, wrong = with_wrong([str(target) for target in digits.target], 0.05)
    precision, recall = found_of(contents, labels, wrong)
    assert precision >= 0.95
    assert recall >= 0.75


def test_a_suspect_is_given_the_class_that_it_had() -> None:
    contents, true = texts(600)
    labels, wrong = with_wrong(true, 0.05)
    suspects = likely_wrong(given([*contents], labels)).suspects
    right = [each for each in suspects if int(each.identity, 16) in wrong]
    assert sum(each.suggested == true[int(each.identity, 16)] for each in right) >= 0.9 * len(right)
    assert [each.confidence for each in suspects] == sorted(each.confidence for each in suspects)


def test_two_reviews_are_the_same() -> None:
    contents, true = texts(150)
    labels, _ = with_wrong(true, 0.05)
    assert likely_wrong(given([*contents], labels)) == likely_wrong(given([*contents], labels))


def test_classes_too_rare_for_the_folds_are_named() -> None:
    contents, true = texts(150)
    review = likely_wrong(given([*contents, "one of a kind"], [*true, "rare"]))
    assert (review.too_rare, review.num_records) == (["rare"], 150)
    with pytest.raises(BadInput, match="two classes with 5 records or more are needed"):
        likely_wrong(given(["a"] * 8, ["x"] * 7 + ["y"]))


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a corpus with 5 % of wrong labels, as split leaves it."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seed: 0\ncorpora: {news: {}}\n")
    contents, true = texts(300)
    labels, _ = with_wrong(true, 0.05)
    rows = [
        {"id": f"{row:064x}", "text": text, "label": label}
        for row, (text, label) in enumerate(zip(contents, labels, strict=True))
    ]
    schema = split_schema("text")
    for part, some in (("train", rows[:250]), ("validation", rows[250:])):
        batch = pa.RecordBatch.from_pylist(some, schema=schema)
        write_records(paths.split("news", part), schema, [batch])  # type: ignore[arg-type]
    return "news"


def test_the_command_lists_suspects_and_writes_all_of_them(
    corpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = paths.split(corpus, "train").read_bytes()
    assert labels(corpus, rows=2) == 0
    lines = capsys.readouterr().out.splitlines()
    with Path(".downstream/labels/news.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert lines[0] == (
        f"news: {len(rows)} of 300 labels are likely wrong (.downstream/labels/news.csv)"
    )
    assert len(lines) == 4
    assert lines[2].split()[:3] == [rows[0]["id"][:8], rows[0]["given"], rows[0]["label"]]
    assert paths.split(corpus, "train").read_bytes() == before


def test_what_a_person_has_decided_is_not_listed_again(corpus: str) -> None:
    first = review_labels(corpus)
    decided = first.suspects[0].identity
    folder = paths.sources(corpus)
    folder.mkdir(parents=True)
    (folder / "corrections.csv").write_text(
        f"id,label,who,why\n{decided},{first.suspects[0].given},Ann,it is right\n"
    )
    second = review_labels(corpus)
    assert second.num_decided == 1
    assert [each.identity for each in second.suspects] == [
        each.identity for each in first.suspects if each.identity != decided
    ]


def test_a_corpus_that_is_not_split_yet_is_told(corpus: str) -> None:
    paths.split(corpus, "validation").unlink()
    with pytest.raises(BadInput, match="run split@news"):
        review_labels(corpus)
