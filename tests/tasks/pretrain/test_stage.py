"""Pretraining that starts from a checkpoint, or takes it as it is."""

from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.pretrain import stage
from tasks.pretrain.settings import Settings


@pytest.fixture
def init(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The setting that names the checkpoint, in a workspace that has it."""
    monkeypatch.chdir(tmp_path)
    Path("data/sources/tiny").mkdir(parents=True)
    Path("data/sources/tiny/bert").symlink_to(published)
    return {"path": "data/sources/tiny/bert"}


def pretrained(splits: tuple[Path, Path], output: str, **raw: Any) -> dict[str, Any]:
    settings = Settings.parse({"architecture": "bert", **raw}, "pretrain")
    return stage.run("tiny", *splits, Path(output), settings, 0, Path(f"{output}-checkpoints"))


def test_no_objective_keeps_weights_and_tokenizer_and_is_finetuned_like_any_backbone(
    init: dict[str, str], published: Path, texts: tuple[Path, Path]
) -> None:
    from safetensors.torch import load_file

    metrics = pretrained(texts, "out", objective="none", init=init)
    assert metrics == {"validation": {}, "training_loss": []}
    ours, theirs = (load_file(f / "model.safetensors") for f in (Path("out/model"), published))
    assert set(ours) == set(theirs)
    assert all(ours[name].equal(theirs[name].float()) for name in theirs)
    config = files.read_json(Path("out/model/tokenizer_config.json"))
    assert config["model_max_length"] == 64
    history = finetune.run(
        "tiny",
        Path("out/model"),
        {"train": texts[0], "validation": texts[1]},
        Path("finetuned"),
        FinetuneSettings(epochs=6, learning_rate=3e-3, batch_size=16, tokens=48, twin=False),
        0,
        Path("checkpoints"),
    )
    figures = history["model"]["epochs"]
    assert figures[-1]["accuracy"] > figures[-1]["majority_accuracy"]


def test_no_objective_twice_gives_the_same_bytes(
    init: dict[str, str], texts: tuple[Path, Path]
) -> None:
    for output in ("one", "two"):
        pretrained(texts, output, objective="none", init=init)
    assert files.sha256_of_folder(Path("one")) == files.sha256_of_folder(Path("two"))


def test_a_masked_pretraining_goes_on_from_the_checkpoints_weights(
    init: dict[str, str], published: Path, texts: tuple[Path, Path]
) -> None:
    from safetensors.torch import load_file

    training = {"epochs": 1, "learning_rate": 1e-9}
    raw = {"objective": "masked", "init": init, "masked": {"tokens": 48}, "training": training}
    for output in ("one", "two"):
        metrics = pretrained(texts, output, **raw)
    assert metrics["validation"]["perplexity"] > 1
    assert files.sha256_of_folder(Path("one")) == files.sha256_of_folder(Path("two"))
    started = load_file(published / "model.safetensors")
    ended = load_file("one/model/model.safetensors")
    assert "cls.seq_relationship.weight" in ended
    assert all(ended[f"bert.{name}"].allclose(started[name].float(), atol=1e-5) for name in started)
    tokenizer = files.read_json(Path("one/model/tokenizer.json"))
    assert tokenizer["truncation"] is None


def test_examples_longer_than_the_checkpoints_positions_are_refused(
    init: dict[str, str], texts: tuple[Path, Path]
) -> None:
    with pytest.raises(BadInput, match=r"masked\.tokens is 128, but the model has 64 positions"):
        pretrained(texts, "out", objective="masked", init=init)


def test_no_objective_on_images_is_refused(init: dict[str, str], images: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match=r"holds images, but checkpoints are of text models"):
        pretrained(images, "out", objective="none", init=init)
