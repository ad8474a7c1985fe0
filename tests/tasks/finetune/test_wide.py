"""The wide part beside a backbone: fitted by itself, held out for the deep part, saved with it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.contracts import files, records
from tasks.contracts.paths import Part
from tasks.errors import BadInput
from tasks.finetune import stage
from tasks.finetune.settings import Settings
from tasks.finetune.wide import NUM_FOLDS, WideCorpus, best_scale, best_scales
from tasks.heads.classification import read_corpus
from tasks.models.classifier import load_classifier
from tasks.models.model import load_backbone

WIDE = {"words": [1, 2]}
BOTH = {"words": [1, 1], "characters": [2, 3], "naive_bayes": True}
QUICK = {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "wide": WIDE}


def finetuned(
    backbone: Path, splits: dict[Part, Path], output: Path, **changes: Any
) -> dict[str, Any]:
    settings = Settings.parse({**QUICK, **changes}, "finetune")
    checkpoints = output.parent / f"{output.name}-checkpoints"
    return stage.run("small", backbone, splits, output, settings, 0, checkpoints)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mode": "frozen", "wide": {"characters": [1, 3]}},
        {"mode": "frozen", "solver": "lbfgs", "repeats": 2, "labels": 5},
        {"mode": "lora", "labels": 5, "class_weights": "balanced"},
        {"labels": 3, "folds": 2, "twin": False},
        {"mode": "frozen", "solver": "lbfgs", "wide": BOTH, "labels": 5},
    ],
    ids=["full", "frozen", "lbfgs", "lora", "folds", "both kinds"],
)
def test_both_parts_are_saved_and_repeat_to_the_byte(
    bert: Path, few_texts: dict[Part, Path], tmp_path: Path, changes: dict[str, Any]
) -> None:
    for name in ("one", "two"):
        history = finetuned(bert, few_texts, tmp_path / name, **changes)
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
    table = records.read_table(few_texts["validation"])
    for part, told in history.items():
        name, _, repeat = part.partition("-")
        folder = Path(f"twin/repeats/{repeat}/{name}" if repeat else name)
        classifier = load_classifier(tmp_path / "one" / folder)
        scores = classifier.scores(table["text"].to_pylist())
        predicted = np.array(classifier.labels)[scores.argmax(axis=1)]
        found = float((predicted == np.array(table["label"].to_pylist())).mean())
        assert found == pytest.approx(told["epochs"][told["best_epoch"] - 1]["accuracy"])
    if "folds" in changes:
        held_out = pq.read_table(tmp_path / "one" / "folds.parquet").to_pandas()
        assert (held_out["label"] == held_out["predicted"]).mean() > 0.5


@pytest.mark.parametrize(
    ("words", "expected"),
    [("profits rose again", ("word", 1, 2)), ("利润上升了", ("char", 1, 3))],
)
def test_the_texts_decide_what_ngrams_are_of_where_the_settings_do_not(
    bert: Path,
    few_texts: dict[Part, Path],
    tmp_path: Path,
    words: str,
    expected: tuple[str, int, int],
) -> None:
    splits: dict[Part, Path] = {}
    for part, path in few_texts.items():
        table = pq.read_table(path)
        column = pa.array([f"{words} {row}" for row in range(len(table))], pa.string())
        table = table.set_column(table.schema.get_field_index("text"), "text", column)
        splits[part] = tmp_path / path.name
        pq.write_table(table, splits[part])
    _, ngrams = read(bert, splits, wide={})
    (kind,) = ngrams._kinds
    assert (kind.analyzer, kind.shortest, kind.longest) == expected


def test_a_row_without_it_has_no_such_files(
    bert: Path, few_texts: dict[Part, Path], tmp_path: Path
) -> None:
    finetuned(bert, few_texts, tmp_path / "out", epochs=1, wide=None)
    assert not list(tmp_path.rglob("wide.*"))


@pytest.mark.parametrize("wide_settings", [WIDE, BOTH], ids=["words", "both kinds"])
def test_the_deep_part_is_given_scores_of_parts_that_have_not_seen_the_record(
    bert: Path, few_texts: dict[Part, Path], wide_settings: dict[str, Any]
) -> None:
    corpus, ngrams = read(bert, few_texts, wide=wide_settings)
    train = corpus.examples.take(np.arange(corpus.num_train))
    wide = ngrams.fit(train, len(corpus.classes))
    texts = records.read_table(few_texts["train"])["text"].to_pylist()
    seen = wide.part.scores(texts)
    held_out = wide.scores[: corpus.num_train]
    right, right_held_out = (
        (scores.argmax(axis=1) == train.labels).mean() for scores in (seen, held_out)
    )
    assert right > 0.98 > right_held_out > 0.7
    # What the validation is told is what the saved part says.
    validated = records.read_table(few_texts["validation"])["text"].to_pylist()
    assert np.allclose(wide.scores[corpus.num_train :], wide.part.scores(validated), atol=1e-5)
    assert ngrams.fit(train, len(corpus.classes)) is wide


def read(bert: Path, splits: dict[Part, Path], **changes: Any) -> tuple[Any, WideCorpus]:
    corpus = read_corpus(load_backbone(bert), splits)
    settings = Settings.parse({**QUICK, **changes}, "finetune")
    return corpus, WideCorpus([*splits.values()], corpus.ids, settings)


@pytest.mark.parametrize("naive_bayes", [None, True])
def test_a_class_of_one_record_is_learnt_though_its_fold_has_never_seen_it(
    bert: Path, few_texts: dict[Part, Path], naive_bayes: bool | None
) -> None:
    settings = {"words": [1, 1], "minimum_records": 1, "naive_bayes": naive_bayes}
    corpus, ngrams = read(bert, few_texts, wide=settings)
    labels = corpus.examples.labels
    rare = np.flatnonzero(labels == 0)[:1]
    others = np.flatnonzero(labels == 1)[: 2 * NUM_FOLDS]
    chosen = np.sort(np.concatenate([rare, others]))
    wide = ngrams.fit(corpus.examples.take(chosen), len(corpus.classes))
    assert wide.scores[rare[0]].argmax() == 1
    unseen = wide.scores[np.setdiff1d(np.arange(len(labels)), chosen)]
    assert set(unseen.argmax(axis=1)) <= {0, 1}


def test_the_scale_makes_scores_as_sure_as_they_are_right() -> None:
    scores = np.array([[1, -1]] * 9 + [[-1, 1]], dtype=np.float32)
    labels = np.zeros(10, dtype=np.int64)
    # Nine of ten are right: a logit of log 9 between the classes.
    assert best_scale(scores, labels, np.ones(10)) == pytest.approx(np.log(9) / 2, abs=1e-4)
    surer = np.array([1.0] * 9 + [4.0])
    assert best_scale(scores, labels, surer) == pytest.approx(np.log(9 / 4) / 2, abs=1e-4)


def test_several_models_are_scaled_together() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(3, size=400)
    truth = np.eye(3, dtype=np.float32)[labels] + random.normal(size=(400, 3)) / 2
    noise = random.normal(size=(400, 3)).astype(np.float32)
    weights = np.ones(400)
    alone = best_scale(truth.astype(np.float32), labels, weights)
    assert best_scales([truth, noise], labels, weights) == pytest.approx([alone, 0], abs=0.2)
    # Of two that say the same, each is trusted half.
    half = [alone / 2, alone / 2]
    assert best_scales([truth, truth], labels, weights) == pytest.approx(half, abs=1e-3)


def test_images_and_texts_without_ngrams_are_refused(
    bert: Path,
    convnet: Path,
    few_images: dict[Part, Path],
    few_texts: dict[Part, Path],
    tmp_path: Path,
) -> None:
    with pytest.raises(BadInput, match=r"finetune\.wide reads the n-grams of texts, but the back"):
        finetuned(convnet, few_images, tmp_path / "images")
    with pytest.raises(BadInput, match=r"no n-gram stands in 5000 of the \d+ records"):
        finetuned(bert, few_texts, tmp_path / "rare", wide={**WIDE, "minimum_records": 5000})
    with pytest.raises(BadInput, match=r"no text has an n-gram for finetune\.wide: ask for"):
        finetuned(bert, few_texts, tmp_path / "long", wide={"words": [90000, 90000]})
