"""Text models: classifiers of every architecture, saved, loaded and trained."""

import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.contracts import files, records
from tasks.contracts.paths import Part
from tasks.errors import BadInput, BadSettings
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings
from tasks.models import text
from tasks.models.architectures import bert, convnet, gpt2, lstm
from tasks.models.classifier import load_classifier
from tasks.models.model import load_model
from tasks.models.text import TextBackbone, pool
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings

LABELS = list("abcde")
Pretrained = Callable[[str], Path]
SMALL = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64}
ROWS: dict[str, dict[str, Any]] = {
    "bert": {"objective": "masked", "bert": SMALL, "masked": {"tokens": 48}},
    "bert-alone": {"objective": "masked", "bert": SMALL}
    | {"masked": {"tokens": 48, "next_sentence": False}},
    "gpt2": {"objective": "causal", "gpt2": SMALL, "causal": {"tokens": 48}},
    "lstm": {"objective": "causal", "lstm": {"hidden_size": 32}, "causal": {"tokens": 48}},
    "wordvectors": {"objective": "skipgram", "wordvectors": {"hidden_size": 32}},
    "wordvectors-lstm": {
        "objective": "skipgram",
        "wordvectors": {"hidden_size": 32, "reader": "lstm", "reader_size": 24},
    },
}
STATES = torch.tensor(
    [[[1.0, -4.0], [3.0, -2.0], [90.0, 90.0]], [[1.0, 2.0], [3.0, 4.0], [8.0, 0.0]]]
)
MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])
OWN = {
    "bert": "cls",
    "bert-alone": "mean",
    "gpt2": "last",
    "lstm": "mean",
    "wordvectors": "mean",
} | {"wordvectors-lstm": "last"}


@pytest.fixture(scope="session", params=ROWS)
def backbone(request: pytest.FixtureRequest, pretrained: Pretrained) -> tuple[str, Path]:
    """A backbone of every architecture, pretrained for one epoch."""
    return request.param, pretrained(request.param)


@pytest.fixture(scope="session")
def small_bert(pretrained: Pretrained) -> Path:
    """A BERT, pretrained for one epoch."""
    return pretrained("bert")


@pytest.fixture(scope="session")
def pretrained(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """Returns a backbone by its name in ``ROWS``, made once."""
    return cache(lambda name: pretrain_row(name, texts, tmp_path_factory.mktemp(name)))


def pretrain_row(name: str, texts: tuple[Path, Path], folder: Path) -> Path:
    row = {"architecture": name.split("-", maxsplit=1)[0], "training": {"epochs": 1}, **ROWS[name]}
    objective = {"vocabulary_size": 600, **row.get(row["objective"], {})}
    settings = PretrainSettings.parse({**row, row["objective"]: objective}, "pretrain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        pretrain.run(name, *texts, folder / "out", settings, 0, folder / "checkpoints")
    return folder / "out" / "model"


def contents(texts: tuple[Path, Path]) -> list[str]:
    found: list[str] = records.read_table(texts[1])["text"].to_pylist()
    return found[:12]


@pytest.mark.parametrize("pooling", ["auto", "mean", "max"])
def test_a_classifier_comes_back_as_saved_without_settings(
    backbone: tuple[str, Path], texts: tuple[Path, Path], tmp_path: Path, pooling: str
) -> None:
    name, folder = backbone
    backbone_cut = TextBackbone(folder)
    backbone_cut.cut_to(32)
    classifier = backbone_cut.model(LABELS, pooling=pooling)
    classifier.module.eval()
    classifier.save(tmp_path)
    loaded: Any = load_model(tmp_path)
    loaded.module.eval()
    assert loaded.labels == LABELS
    assert loaded.pooling == (OWN[name] if pooling == "auto" else pooling)
    inputs = loaded.inputs(contents(texts))
    assert inputs.lengths.max() <= 32
    with torch.inference_mode():
        for chosen in (np.arange(12), np.array([3])):
            batch = inputs.batch(chosen)
            logits = loaded.logits(batch)
            assert logits.shape == (len(chosen), 5)
            assert logits.equal(classifier.logits(batch))


def test_a_pooler_that_nothing_has_trained_is_not_what_auto_takes(pretrained: Pretrained) -> None:
    folder = pretrained("bert-alone")
    assert TextBackbone(folder).model(LABELS).pooling == "mean"
    assert TextBackbone(folder).model(LABELS, pooling="cls").pooling == "cls"


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_transformers_loads_a_bert_with_its_head_and_its_labels(
    small_bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    labels = ["earn", "über & so", "acq"]  # in the order of the logits, which is not the alphabet's
    torch.manual_seed(0)
    ours = TextBackbone(small_bert).model(labels)
    ours.module.eval()
    ours.save(tmp_path)
    theirs, report = AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not any(report.values())
    assert type(theirs).__name__ == "BertForSequenceClassification"
    assert theirs.config.id2label == dict(enumerate(labels))
    assert theirs.config.label2id == {label: index for index, label in enumerate(labels)}
    assert (theirs.config.num_labels, theirs.config.problem_type) == (
        3,
        "single_label_classification",
    )
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    given = contents(texts)
    inputs = tokenizer(given, padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        logits = theirs.eval()(**inputs).logits
        expected = ours.logits(ours.inputs(given).batch(np.arange(len(given))))
    assert torch.allclose(logits, expected, atol=1e-6)
    assert logits.argmax(-1).equal(expected.argmax(-1))


def test_a_head_that_transformers_has_no_class_for_lies_beside_the_encoder(
    backbone: tuple[str, Path], tmp_path: Path
) -> None:
    name, folder = backbone
    for pooling in ("auto", "mean"):
        TextBackbone(folder).model(LABELS, pooling=pooling).save(tmp_path / pooling)
        is_theirs = (name, pooling) == ("bert", "auto")
        assert ("head.safetensors" in files_of(tmp_path / pooling)) != is_theirs


def test_a_model_that_was_saved_before_there_were_two_ways_scores_to_the_same_bytes(
    small_bert: Path, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    model = TextBackbone(small_bert).model(LABELS)
    new, old = tmp_path / "new", tmp_path / "old"
    model.save(new)
    text.save(model.encoder, old)
    above = {name: value.contiguous() for name, value in model.above_encoder.state_dict().items()}
    save_file(above, old / "head.safetensors", metadata={"format": "pt"})
    for name in files_of(new) - files_of(old):
        shutil.copy(new / name, old)
    assert "classifier.weight" not in load_file(old / "model.safetensors")
    first, second = (load_classifier(folder).scores(contents(texts)) for folder in (new, old))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("pooling", ["auto", "mean", "max"])
def test_the_logits_of_a_text_do_not_depend_on_its_batch(
    backbone: tuple[str, Path], texts: tuple[Path, Path], pooling: str
) -> None:
    _, folder = backbone
    classifier = TextBackbone(folder).model(LABELS, pooling=pooling)
    classifier.module.eval()
    inputs = classifier.inputs(contents(texts))
    with torch.inference_mode():
        together = classifier.logits(inputs.batch(np.arange(12)))
        alone = [classifier.logits(inputs.batch(np.array([i]))) for i in range(12)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_a_mask_that_hides_nothing_changes_nothing(
    backbone: tuple[str, Path], texts: tuple[Path, Path]
) -> None:
    _, folder = backbone
    classifier = TextBackbone(folder).model(LABELS)
    classifier.module.eval()
    batch = classifier.inputs([contents(texts)[0]] * 3).batch(np.arange(3))
    assert set(batch) == {"input_ids"}
    with torch.inference_mode():
        without = classifier.logits(batch)
        mask = torch.ones_like(batch["input_ids"])
        assert classifier.logits({**batch, "attention_mask": mask}).equal(without)


def test_the_twin_has_the_shape_but_not_the_weights(backbone: tuple[str, Path]) -> None:
    _, folder = backbone
    first, again, twin = (
        list(TextBackbone(folder).model(LABELS, pretrained=p).encoder.parameters())
        for p in (True, True, False)
    )
    assert [value.shape for value in first] == [value.shape for value in twin]
    assert all(one.equal(other) for one, other in zip(first, again, strict=True))
    assert not first[0].equal(twin[0])


def test_finetuning_and_its_twin_run_and_are_evaluated(
    backbone: tuple[str, Path], texts: tuple[Path, Path], tmp_path: Path
) -> None:
    _, folder = backbone
    settings = Settings(epochs=1, learning_rate=3e-3, batch_size=16, tokens=32, pooling="max")
    parts: dict[Part, Path] = {"train": texts[0], "validation": texts[1]}
    output = tmp_path / "out"
    history = finetune.run("small", folder, parts, output, settings, 0, tmp_path / "checkpoints")
    for name in ("model", "twin"):
        assert files.read_json(output / name / text.HEAD_CONFIG)["pooling"] == "max"
        table = records.read_table(texts[1])
        classifier = load_classifier(output / name)
        scores = classifier.scores(table["text"].to_pylist())
        right = np.array(classifier.labels)[scores.argmax(1)] == table["label"].to_pylist()
        epoch = history[name]["epochs"][history[name]["best_epoch"] - 1]
        assert right.mean() == pytest.approx(epoch["accuracy"])


def test_an_empty_text_has_scores_too(backbone: tuple[str, Path]) -> None:
    _, folder = backbone
    classifier = TextBackbone(folder).model(LABELS)
    with torch.inference_mode():
        logits = classifier.logits(classifier.inputs(["", "oil"]).batch(np.arange(2)))
    assert bool(logits.isfinite().all())


def test_a_pooling_that_does_not_exist_is_refused(backbone: tuple[str, Path]) -> None:
    name, folder = backbone
    pooling = "last" if name in ("bert", "bert-alone", "wordvectors") else "cls"
    message = rf"finetune\.pooling: '{pooling}' does not exist for .*; allowed: auto, .*mean"
    with pytest.raises(BadSettings, match=message):
        TextBackbone(folder).model(LABELS, pooling=pooling)


def test_a_weighted_mean_comes_back_as_saved(
    pretrained: Pretrained, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    classifier = TextBackbone(pretrained("wordvectors")).model(LABELS, pooling="weighted")
    weights = classifier.module["weighted"].weights
    assert weights.min() < 0.1
    assert weights.max() > 0.9
    classifier.module["weighted"].fit(torch.diag(torch.arange(1.0, 33.0)).double())
    classifier.save(tmp_path)
    loaded: Any = load_model(tmp_path)
    batch = loaded.inputs(contents(texts)).batch(np.arange(12))
    with torch.inference_mode():
        logits = [one.logits(batch) for one in (classifier, loaded) if one.module.eval()]
    assert logits[0].equal(logits[1])


def test_a_weighted_mean_needs_to_know_how_frequent_tokens_are(
    pretrained: Pretrained, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(pretrained("wordvectors"), folder)
    (folder / "frequencies.safetensors").unlink()
    message = r"pooling is 'weighted', but .*model does not tell how frequent its tokens are: "
    with pytest.raises(BadInput, match=message):
        TextBackbone(folder).model(LABELS, pooling="weighted")


@pytest.mark.parametrize("architecture", [gpt2, lstm, convnet])
def test_objectives_for_bert_refuse_others(architecture: Any) -> None:
    with pytest.raises(BadSettings, match=r"needs a bidirectional architecture, .*: bert"):
        text.require_context(architecture, text.BIDIRECTIONAL, "masked")
    text.require_context(bert, text.BIDIRECTIONAL, "masked")


def test_settings_are_checked_without_torch() -> None:
    import subprocess

    code = (
        "import sys\n"
        "from tasks.contracts import registry\n"
        "for name in registry.entries('tasks.models.architectures'):\n"
        "    registry.load('tasks.models.architectures', name, '').Settings()\n"
        "for name in ('causal', 'skipgram', 'masked'):\n"
        "    registry.load('tasks.objectives', name, '').Settings()\n"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[2.0, -3.0], [4.0, 2.0]]),
        ("max", [[3.0, -2.0], [8.0, 4.0]]),
        ("last", [[3.0, -2.0], [8.0, 0.0]]),
    ],
)
def test_padding_is_left_out(pooling: str, expected: list[list[float]]) -> None:
    output = SimpleNamespace(last_hidden_state=STATES)
    assert pool(pooling, output, MASK).tolist() == expected
    alone = SimpleNamespace(last_hidden_state=STATES[:1, :2])
    assert pool(pooling, alone, None).tolist() == expected[:1]


def test_cls_is_what_the_encoder_has_pooled() -> None:
    output = SimpleNamespace(last_hidden_state=STATES, pooler_output=torch.ones(2, 2))
    assert pool("cls", output, MASK) is output.pooler_output
