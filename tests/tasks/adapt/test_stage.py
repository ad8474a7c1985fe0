"""A backbone that goes on from another one: its weights, and what it says of itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.adapt import stage
from tasks.adapt.settings import Settings
from tasks.contracts import files
from tasks.errors import BadInput
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.models.attribution import word_weights
from tasks.models.classifier import load_classifier
from tasks.models.model import description, load_backbone
from tasks.models.origin import SEEN, labels_of
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings
from tests.tasks.training.jobs import Job
from tests.tasks.training.kills import everything, fault_when_killed

BERT_SIZES = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64}
UNCHANGED = {"epochs": 1, "learning_rate": 1e-9, "batch_size": 64}
Splits = tuple[Path, Path]


def pretrained(splits: Splits, output: Path, **raw: Any) -> Path:
    settings = PretrainSettings.parse(raw, "pretrain")
    pretrain.run("first", *splits, output, settings, 0, output / "checkpoints")
    return output / "model"


def adapted(backbone: Path, splits: Splits, output: Path, **raw: Any) -> dict[str, Any]:
    parts = {"train": splits[0], "validation": splits[1]}
    settings = Settings.parse(raw, "adapt")
    return stage.run("second", backbone, parts, output, settings, 0, Path(f"{output}-checkpoints"))  # type: ignore[arg-type]


def weights_of(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


@pytest.fixture(scope="module")
def bert(texts: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT that was trained on next sentences of 32 tokens."""
    return pretrained(
        texts,
        tmp_path_factory.mktemp("bert"),
        objective="masked",
        architecture="bert",
        masked={"tokens": 32, "vocabulary_size": 600},
        bert=BERT_SIZES,
        training={"epochs": 1},
    )


def test_a_bert_goes_on_with_its_heads_its_tokenizer_and_the_same_bytes_each_time(
    bert: Path, texts: Splits, tmp_path: Path
) -> None:
    training = {"epochs": 3, "learning_rate": 3e-3, "batch_size": 16}
    raw = {"objective": "masked", "masked": {"tokens": 48}}
    kept = adapted(bert, texts, tmp_path / "kept", training=UNCHANGED, **raw)["validation"]
    for output in ("one", "two"):
        further = adapted(bert, texts, tmp_path / output, training=training, **raw)["validation"]
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
    assert further["perplexity"] < kept["perplexity"]
    before, after = weights_of(bert), weights_of(tmp_path / "kept/model")
    assert before.keys() == after.keys()
    assert "cls.seq_relationship.weight" in after
    assert all(after[name].allclose(value, atol=1e-5) for name, value in before.items())
    model = tmp_path / "one/model"
    assert (model / "tokenizer.json").read_bytes() == (bert / "tokenizer.json").read_bytes()
    assert description(model) == description(bert)
    assert files.read_json(model / "tokenizer_config.json")["model_max_length"] == 48


def test_what_a_backbone_knew_before_it_still_knows(
    bert: Path, texts: Splits, tmp_path: Path
) -> None:
    masked = {"tokens": 16, "next_sentence": False}
    adapted(bert, texts, tmp_path / "out", objective="masked", masked=masked, training=UNCHANGED)
    model = tmp_path / "out/model"
    assert files.read_json(model / "tokenizer_config.json")["model_max_length"] == 32
    assert load_backbone(model).model(["a", "b"]).pooling == "cls"  # type: ignore[union-attr]


def test_a_pooler_that_neither_has_trained_is_not_taken(texts: Splits, tmp_path: Path) -> None:
    masked = {"tokens": 32, "next_sentence": False}
    first = pretrained(
        texts,
        tmp_path / "first",
        objective="masked",
        architecture="bert",
        masked={**masked, "vocabulary_size": 600},
        bert=BERT_SIZES,
        training={"epochs": 1},
    )
    for learns, pooling in ((False, "mean"), (True, "cls")):
        output = tmp_path / pooling
        own = {**masked, "next_sentence": learns}
        adapted(first, texts, output, objective="masked", masked=own, training=UNCHANGED)
        model = load_backbone(output / "model").model(["a", "b"])
        assert model.pooling == pooling  # type: ignore[union-attr]


def test_an_adapted_backbone_is_finetuned_like_any_other_and_tells_its_origin(
    bert: Path, texts: Splits, tmp_path: Path
) -> None:
    # The other way round: what was held out before is trained on now.
    adapted(bert, (texts[1], texts[0]), tmp_path / "out", objective="masked", masked={"tokens": 48},
            training={"epochs": 1})  # fmt: skip
    model = tmp_path / "out/model"
    seen = [np.load(folder / SEEN) for folder in (bert, model)]
    assert len(seen[1]) == len(seen[0]) + len(files_ids(texts[1]))
    assert np.isin(seen[0], seen[1]).all()
    history = finetune.run(
        "tiny",
        model,
        {"train": texts[0], "validation": texts[1]},
        tmp_path / "finetuned",
        FinetuneSettings(
            epochs=6, learning_rate=3e-3, batch_size=16, tokens=48, pooling="mean", twin=False
        ),
        0,
        tmp_path / "checkpoints",
    )
    figures = history["model"]["epochs"]
    assert figures[-1]["accuracy"] > figures[-1]["majority_accuracy"]
    assert np.array_equal(np.load(tmp_path / "finetuned/model" / SEEN), seen[1])


def files_ids(split: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(split, columns=["id"])["id"].to_pylist()  # type: ignore[no-any-return]


def test_an_objective_goes_on_from_what_another_has_trained_and_lacks_heads_start_fresh(
    bert: Path, texts: Splits, tmp_path: Path
) -> None:
    replaced = {"objective": "replaced", "replaced": {"tokens": 48}, "training": UNCHANGED}
    masked = {"objective": "masked", "masked": {"tokens": 48}, "training": UNCHANGED}
    adapted(bert, texts, tmp_path / "second", **replaced)
    adapted(tmp_path / "second/model", texts, tmp_path / "third", **masked)
    first, second, third = (
        weights_of(folder) for folder in (bert, tmp_path / "second/model", tmp_path / "third/model")
    )
    assert {f"bert.{name}" for name in second} < first.keys() == third.keys()
    assert all(first[f"bert.{name}"].allclose(value, atol=1e-5) for name, value in second.items())
    assert all(third[f"bert.{name}"].allclose(value, atol=1e-5) for name, value in second.items())
    objectives = [
        description(tmp_path / name / "model")["objective"] for name in ("second", "third")
    ]
    assert objectives == ["replaced", "masked"]


@pytest.mark.parametrize(
    ("architecture", "objective"),
    [
        ("gpt2", {"objective": "causal", "causal": {"tokens": 32}}),
        ("lstm", {"objective": "causal", "causal": {"tokens": 32}}),
        ("wordvectors", {"objective": "skipgram"}),
    ],
)
def test_other_models_of_texts_go_on_from_their_weights(
    architecture: str, objective: dict[str, Any], texts: Splits, tmp_path: Path
) -> None:
    name = objective["objective"]
    first = {**objective, name: {**objective.get(name, {}), "vocabulary_size": 600}}
    sizes = {"hidden_size": 32, **({"heads": 2} if architecture == "gpt2" else {})}
    training = {"epochs": 2, "learning_rate": 5e-3}
    bound = {"architecture": architecture, architecture: sizes, "training": training}
    backbone = pretrained(texts, tmp_path / "first", **first, **bound)
    kept = adapted(backbone, texts, tmp_path / "kept", **objective, training=UNCHANGED)
    further = adapted(backbone, texts, tmp_path / "further", **objective, training=training)
    assert further["validation"]["loss"] < kept["validation"]["loss"]
    before, after = weights_of(backbone), weights_of(tmp_path / "kept/model")
    assert before.keys() == after.keys()
    assert all(after[key].allclose(value, atol=1e-5) for key, value in before.items())
    model = tmp_path / "kept/model"
    assert (model / "tokenizer.json").read_bytes() == (backbone / "tokenizer.json").read_bytes()


def test_a_byte_level_model_goes_on_and_is_finetuned_without_a_setting_of_its_own(
    texts: Splits, tmp_path: Path
) -> None:
    training = {"epochs": 2, "learning_rate": 5e-3}
    causal = {"tokens": 64, "tokenizer": "bytes", "vocabulary_size": 600}
    given = {"objective": "causal", "architecture": "lstm", "lstm": {"hidden_size": 32}}
    for output in ("first", "again"):
        first = pretrained(texts, tmp_path / output, **given, causal=causal, training=training)
    # Not the checkpoints, which say where they lie.
    assert files.sha256_of_folder(first) == files.sha256_of_folder(tmp_path / "first/model")
    further = {"objective": "causal", "causal": {"tokens": 64}, "training": UNCHANGED}
    kept = adapted(first, texts, tmp_path / "kept", **further)
    before = files.read_json(tmp_path / "first/metrics.json")["validation"]
    after = kept["validation"]
    assert after["bits_per_byte"] == pytest.approx(before["bits_per_byte"], rel=1e-4)
    history = finetune.run(
        "tiny",
        tmp_path / "kept/model",
        {"train": texts[0], "validation": texts[1]},
        tmp_path / "finetuned",
        FinetuneSettings(epochs=6, learning_rate=5e-3, batch_size=16, twin=False),
        0,
        tmp_path / "checkpoints",
    )
    accuracies = history["model"]["epochs"]
    best = max(epoch["accuracy"] for epoch in accuracies)
    assert best > accuracies[0]["majority_accuracy"]
    classifier = load_classifier(tmp_path / "finetuned/model")
    text = "  Oil prices\n\n rose"
    assert "".join(piece.text for piece in word_weights(classifier, text, 0)) == text


@pytest.mark.parametrize(
    ("architecture", "objective"),
    [("autoencoder", "reconstruction"), ("vit", "masked_image"), ("convnet", "classification")],
)
def test_models_of_images_go_on_from_their_weights(
    architecture: str, objective: str, images: Splits, tmp_path: Path
) -> None:
    training = {"epochs": 2, "learning_rate": 2e-3, "batch_size": 64}
    bound = {"objective": objective, "architecture": architecture, "training": training}
    backbone = pretrained(images, tmp_path / "first", **bound)
    adapted(backbone, images, tmp_path / "kept", objective=objective, training=UNCHANGED)
    before, after = weights_of(backbone), weights_of(tmp_path / "kept/model")
    assert before.keys() == after.keys()
    carried = [key for key in before if not key.startswith("head.")]
    assert all(after[key].allclose(before[key], atol=1e-5) for key in carried)
    learnt = [images[0].parent.name] if objective == "classification" else []
    assert labels_of(tmp_path / "kept/model") == learnt


def test_the_labels_that_the_first_backbone_has_learnt_are_told_of_the_second(
    images: Splits, tmp_path: Path
) -> None:
    first = pretrained(
        images, tmp_path / "first", objective="classification", architecture="autoencoder",
        training={"epochs": 1},
    )  # fmt: skip
    adapted(first, images, tmp_path / "second", objective="reconstruction", training=UNCHANGED)
    assert labels_of(tmp_path / "second/model") == [images[0].parent.name]
    assert "labels" not in description(tmp_path / "second/model")


def test_images_of_another_shape_and_texts_are_refused_in_one_line(
    images: Splits, texts: Splits, tmp_path: Path
) -> None:
    first = pretrained(
        images, tmp_path / "first", objective="reconstruction", architecture="autoencoder",
        training=UNCHANGED,
    )  # fmt: skip
    with pytest.raises(BadInput, match=r"holds text; the objective 'reconstruction' needs images"):
        adapted(first, texts, tmp_path / "out", objective="reconstruction")


def test_a_killed_adaptation_goes_on_to_the_same_bytes(
    bert: Path, texts: Splits, tmp_path: Path
) -> None:
    settings = {"objective": "masked", "masked": {"tokens": 48}, "training": {"epochs": 2}}
    job = Job(tmp_path / "undisturbed", texts, "adapt", backbone=bert, settings=settings)
    job.run()
    assert fault_when_killed(job, tmp_path / "killed", (everything,)) is None
