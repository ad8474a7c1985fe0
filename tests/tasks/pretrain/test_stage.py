"""Pretraining that starts from a checkpoint, or takes it as it is."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.inputs.tokenizer import load_tokenizer
from tasks.models.text import TextBackbone
from tasks.pretrain import stage
from tasks.pretrain.settings import Settings

Link = Callable[[Path], dict[str, str]]


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Link:
    """Puts a checkpoint into the workspace; returns the setting that names it."""
    monkeypatch.chdir(tmp_path)

    def linked(published: Path) -> dict[str, str]:
        path = Path("data/sources/tiny/model")
        path.parent.mkdir(parents=True)
        path.symlink_to(published)
        return {"path": str(path)}

    return linked


@pytest.fixture
def init(published: Path, link: Link) -> dict[str, str]:
    """The setting that names the checkpoint, in a workspace that has it."""
    return link(published)


def vit_weights(folder: Path) -> dict[str, Any]:
    """Return the weights of a ViT as transformers reads it."""
    from transformers import ViTMAEForPreTraining

    return dict(ViTMAEForPreTraining.from_pretrained(folder).named_parameters())


def pretrained(splits: tuple[Path, Path], output: str, **raw: Any) -> dict[str, Any]:
    settings = Settings.parse({"architecture": "bert", **raw}, "pretrain")
    return stage.run("tiny", *splits, Path(output), settings, 0, Path(f"{output}-checkpoints"))


def test_no_objective_keeps_weights_and_tokenizer_and_is_finetuned_like_any_backbone(
    init: dict[str, str], published: Path, texts: tuple[Path, Path]
) -> None:
    from safetensors.torch import load_file

    metrics = pretrained(texts, "out", objective="none", init=init)
    assert metrics["training_loss"] == []
    assert all(name.startswith("linear_probe_") for name in metrics["validation"])
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
    # It was published without the head that trains a pooler.
    assert files.read_json(Path("finetuned/model/head.json"))["pooling"] == "mean"


def test_a_checkpoint_that_predicts_next_sentences_has_a_trained_pooler(
    published: Path, texts: tuple[Path, Path], tmp_path: Path, link: Link
) -> None:
    from transformers import BertForPreTraining

    folder = tmp_path / "with its heads"
    BertForPreTraining.from_pretrained(published).save_pretrained(folder)
    shutil.copy(published / "tokenizer.json", folder)
    init = link(folder)
    masked = {"tokens": 48, "next_sentence": False}
    training = {"training": {"epochs": 1}, "masked": masked}
    pretrained(texts, "taken", objective="none", init=init)
    pretrained(texts, "trained", objective="masked", init=init, **training)
    for output in ("taken", "trained"):
        assert TextBackbone(Path(output) / "model").model(["a", "b"]).pooling == "cls"


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
    with pytest.raises(BadInput, match=r"holds images, but the checkpoint takes texts"):
        pretrained(images, "out", objective="none", init=init)


def test_a_causal_pretraining_goes_on_from_a_published_gpt2(
    published_gpt2: Path,
    texts: tuple[Path, Path],
    link: Link,
) -> None:
    from transformers import AutoModelForCausalLM

    init = link(published_gpt2)
    raw = {"objective": "causal", "architecture": "gpt2", "init": init, "causal": {"tokens": 48}}
    kept, ended = Path("kept/model"), Path("trained/model")
    unchanged = {"epochs": 1, "learning_rate": 1e-9}
    before = pretrained(texts, "kept", training=unchanged, **raw)["validation"]
    trained = {"epochs": 4, "learning_rate": 1e-2, "batch_size": 8}
    after = pretrained(texts, "trained", training=trained, **raw)["validation"]
    assert after["perplexity"] < after["unigram_perplexity"] < before["perplexity"]
    models = [AutoModelForCausalLM.from_pretrained(f) for f in (published_gpt2, kept, ended)]
    weights = [dict(model.named_parameters()) for model in models]
    assert all(weights[1][name].allclose(value, atol=1e-5) for name, value in weights[0].items())
    assert all(model.config.use_cache for model in models)
    tokens = load_tokenizer(ended).encode("oil prices rose")
    assert tokens.tokens[0] == "<|endoftext|>"
    assert tokens.ids[1:] == load_tokenizer(published_gpt2).encode("oil prices rose").ids


def test_a_published_tokenizer_is_taken_without_its_weights(
    published: Path, texts: tuple[Path, Path], link: Link
) -> None:
    init = {**link(published), "only": "tokenizer"}
    sizes = {"layers": 1, "hidden_size": 16, "heads": 2, "positions": 64}
    raw = {
        "objective": "masked",
        "init": init,
        "bert": sizes,
        "masked": {"tokens": 48, "embeddings": "cooccurrence"},
        "training": {"epochs": 3, "learning_rate": 1e-2, "batch_size": 8},
    }
    for output in ("one", "two"):
        metrics = pretrained(texts, output, **raw)["validation"]
    assert metrics["perplexity"] < metrics["unigram_perplexity"]
    assert files.sha256_of_folder(Path("one")) == files.sha256_of_folder(Path("two"))
    config = files.read_json(Path("one/model/config.json"))
    own = load_tokenizer(published)
    assert (config["hidden_size"], config["vocab_size"]) == (16, own.get_vocab_size())
    assert config["pad_token_id"] == own.token_to_id("[PAD]")
    own.no_truncation()
    own.no_padding()
    assert load_tokenizer(Path("one/model")).to_str() == own.to_str()


@pytest.mark.parametrize("architecture", ["gpt2", "lstm"])
def test_a_published_tokenizer_of_bytes_is_taken_without_its_weights_and_loses_nothing(
    architecture: str, published_gpt2: Path, texts: tuple[Path, Path], link: Link
) -> None:
    small = {"hidden_size": 16, **({"heads": 2} if architecture == "gpt2" else {})}
    raw = {
        "objective": "causal",
        "architecture": architecture,
        "init": {**link(published_gpt2), "only": "tokenizer"},
        architecture: small,
        "causal": {"tokens": 48},
        "training": {"epochs": 4, "learning_rate": 1e-2, "batch_size": 8},
    }
    metrics = pretrained(texts, "out", **raw)["validation"]
    assert metrics["perplexity"] < metrics["unigram_perplexity"]
    tokenizer = load_tokenizer(Path("out/model"))
    published = load_tokenizer(published_gpt2)
    end = published.token_to_id("<|endoftext|>")
    text = "  Oil<|endoftext|>\n\nprices"
    encoded = tokenizer.encode(text)
    assert encoded.ids[0] == end
    assert tokenizer.decode(encoded.ids[1:]) == text
    assert tokenizer.encode("Oil prices").ids[1:] == published.encode("Oil prices").ids
    if architecture == "gpt2":
        for name in ("config.json", "generation_config.json"):
            about = files.read_json(Path("out/model") / name)
            assert (about["bos_token_id"], about["eos_token_id"]) == (end, end)


def test_a_tokenizer_that_is_missing_damaged_or_has_gaps_is_one_line(
    published: Path, texts: tuple[Path, Path], link: Link, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    init = {**link(folder), "only": "tokenizer"}
    content = files.read_json(folder / "tokenizer.json")
    content["model"]["vocab"]["zzz"] = 9000
    files.write_json(folder / "tokenizer.json", content)
    with pytest.raises(BadInput, match=r"tokens, but their ids go up to 9,000: choose another"):
        pretrained(texts, "out", objective="masked", init=init)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(BadInput, match=r"tiny/model: tokenizer\.json is damaged"):
        pretrained(texts, "out", objective="masked", init=init)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"tiny/model holds no tokenizer\.json: write it with"):
        pretrained(texts, "out", objective="masked", init=init)


def test_a_published_gpt2_is_trained_without_a_cache(
    published_gpt2: Path, texts: tuple[Path, Path]
) -> None:
    from tasks.models.architectures import gpt2
    from tasks.models.initial.published import Checkpoint
    from tasks.objectives import causal
    from tasks.training.task import ExampleRandom

    checkpoint = Checkpoint(published_gpt2, "gpt2", "tiny")
    settings = causal.Settings(tokens=48)
    task = causal.prepare(gpt2, None, settings, *texts, initial=checkpoint)
    batch = task.batch(np.arange(2), ExampleRandom(0, 0, range(2)))
    assert task.model(batch["input_ids"]).past_key_values is not None
    seen = []
    task.model.register_forward_hook(lambda *given: seen.append(given[2].past_key_values))
    task.loss(batch)
    task.validate()
    assert set(seen) == {None}


def test_a_masked_image_pretraining_goes_on_from_a_published_vit_and_is_finetuned(
    published_vit: Path,
    images: tuple[Path, Path],
    link: Link,
) -> None:
    init = link(published_vit)
    raw = {"objective": "masked_image", "architecture": "vit", "init": init}
    unchanged = {"epochs": 1, "learning_rate": 1e-9, "batch_size": 64}
    before = pretrained(images, "kept", training=unchanged, **raw)["validation"]
    trained = {"epochs": 4, "learning_rate": 4e-3, "batch_size": 64}
    for output in ("one", "two"):
        after = pretrained(images, output, training=trained, **raw)["validation"]
    assert after["loss"] < 0.9 * before["loss"]
    assert files.sha256_of_folder(Path("one")) == files.sha256_of_folder(Path("two"))
    kept, started = (vit_weights(folder) for folder in (Path("kept/model"), published_vit))
    assert all(kept[name].allclose(value.float(), atol=1e-5) for name, value in started.items())
    settings = FinetuneSettings(epochs=4, learning_rate=3e-3, twin=False)
    finetuned = finetune.run(
        "tiny",
        Path("one/model"),
        {"train": images[0], "validation": images[1]},
        Path("finetuned"),
        settings,
        0,
        Path("checkpoints"),
    )["model"]["epochs"][-1]
    assert finetuned["accuracy"] > finetuned["majority_accuracy"]


def test_a_supervised_pretraining_takes_a_published_vits_encoder_which_sees_images_whole(
    published_vit: Path, images: tuple[Path, Path], link: Link
) -> None:
    raw = {"objective": "classification", "architecture": "vit", "init": link(published_vit)}
    unchanged = {"epochs": 1, "learning_rate": 1e-9, "batch_size": 64}
    pretrained(images, "kept", training=unchanged, **raw)
    kept, started = (vit_weights(folder) for folder in (Path("kept/model"), published_vit))
    encoder = [name for name in started if name.startswith("vit.")]
    assert all(kept[name].allclose(started[name].float(), atol=1e-5) for name in encoder)
    trained = {"epochs": 6, "learning_rate": 4e-3, "batch_size": 64}
    figures = pretrained(images, "trained", training=trained, **raw)["validation"]
    assert figures["accuracy"] > figures["majority_accuracy"] + 0.2


def test_no_objective_keeps_a_published_vits_weights(
    published_vit: Path,
    images: tuple[Path, Path],
    link: Link,
) -> None:
    init = link(published_vit)
    metrics = pretrained(images, "out", objective="none", architecture="vit", init=init)
    assert metrics["training_loss"] == []
    assert all(name.startswith("linear_probe_") for name in metrics["validation"])
    ours, theirs = (vit_weights(folder) for folder in (Path("out/model"), published_vit))
    assert all(ours[name].equal(value.float()) for name, value in theirs.items())
