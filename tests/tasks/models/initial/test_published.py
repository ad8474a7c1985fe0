"""Published checkpoints: what is read of them, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.inputs.tokenizer import id_in, ordinary_ids
from tasks.inputs.traits import ImageTraits
from tasks.models import image
from tasks.models.architectures import vit
from tasks.models.initial.published import Checkpoint
from tests.tasks.pretrain.conftest import published, published_vit

__all__ = ["published", "published_vit"]

DIGITS = ImageTraits(1, 8, 8)


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(published, tmp_path / "checkpoint"))


def edit_config(folder: Path, **values: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_the_tokenizer_neither_cuts_nor_fills_up_and_keeps_its_own_ids(folder: Path) -> None:
    tokenizer = Checkpoint(folder, "bert", "tiny").tokenizer()
    long = " ".join(["oil prices rose"] * 10)
    assert len(tokenizer.encode(long).ids) > 30
    assert len(tokenizer.encode("oil").ids) == 3
    assert id_in(tokenizer, "[PAD]") == tokenizer.get_vocab_size() - 5
    assert ordinary_ids(tokenizer) == list(range(tokenizer.get_vocab_size() - 5))


def test_weights_are_as_published_in_fp32_and_heads_that_lack_start_fresh(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    checkpoint = Checkpoint(folder, "bert", "tiny")
    stored = load_file(folder / "model.safetensors")
    weights = checkpoint.pretraining_model().bert.state_dict()
    assert all(weights[name].equal(value.float()) for name, value in stored.items())
    assert checkpoint.encoder().embeddings.word_embeddings.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "tiny holds no config.json: name a folder in Hugging Face's format"),
        ("model.safetensors", "tiny holds no model.safetensors: pickled weights are never read"),
    ],
)
def test_what_is_missing_is_named(folder: Path, file: str, message: str) -> None:
    (folder / file).rename(folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match=message):
        Checkpoint(folder, "bert", "tiny")


def test_a_checkpoint_without_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"tiny holds no tokenizer\.json"):
        Checkpoint(folder, "bert", "tiny").tokenizer()


def test_another_architecture_is_refused(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"tiny is a 'bert', but the architecture asks for a 'gpt2'"):
        Checkpoint(folder, "gpt2", "tiny")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"tiny: config\.json is damaged: choose another checkpoint"),
        ('{"architecture": "lstm"}', r"tiny: config\.json names no model_type: it is not in Hug"),
    ],
)
def test_a_config_that_is_damaged_or_of_another_format_is_refused(
    folder: Path, content: str, message: str
) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(BadInput, match=message):
        Checkpoint(folder, "bert", "tiny")


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    edit_config(folder, vocab_size=100)
    with pytest.raises(BadInput, match=r"the tokenizer has \d+ tokens, the model 100"):
        Checkpoint(folder, "bert", "tiny").tokenizer()


def test_damaged_weights_are_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadInput, match=r"tiny cannot be loaded: "):
        Checkpoint(folder, "bert", "tiny").encoder()


def test_weights_that_are_missing_below_the_heads_are_refused(folder: Path) -> None:
    edit_config(folder, num_hidden_layers=2)
    with pytest.raises(BadInput, match=r"tiny lacks 16 of the model's weights, encoder\.layer"):
        Checkpoint(folder, "bert", "tiny").pretraining_model()


@pytest.fixture
def vit_folder(published_vit: Path, tmp_path: Path) -> Path:
    """A copy of a ViT to damage."""
    return Path(shutil.copytree(published_vit, tmp_path / "vit"))


def test_a_vits_parts_are_as_published(vit_folder: Path, tmp_path: Path) -> None:
    from transformers import ViTMAEForPreTraining

    image.save(Checkpoint(vit_folder, "vit_mae", "tiny").image_model(vit, DIGITS), tmp_path)
    ours, report = ViTMAEForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    theirs = dict(ViTMAEForPreTraining.from_pretrained(vit_folder).named_parameters())
    assert all(value.equal(theirs[name].float()) for name, value in ours.named_parameters())
    assert ours.config.decoder_num_attention_heads == 2
    again = Checkpoint(tmp_path, "vit_mae", "tiny").image_model(vit, DIGITS)
    image.save(again, tmp_path / "again")
    own, repeated = (f / "model.safetensors" for f in (tmp_path, tmp_path / "again"))
    assert own.read_bytes() == repeated.read_bytes()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layer_norm_eps": 0.1}, r"tiny: layer_norm_eps is 0\.1, but our encoder of these sizes"),
        (
            {"decoder_num_hidden_layers": 3},
            r"tiny lacks 16 of the model's weights, decoder\.decode",
        ),
    ],
)
def test_a_vit_that_does_not_fit_is_refused(
    vit_folder: Path, values: dict[str, object], message: str
) -> None:
    edit_config(vit_folder, **values)
    with pytest.raises(BadInput, match=message):
        Checkpoint(vit_folder, "vit_mae", "tiny").image_model(vit, DIGITS)


def test_a_vit_for_other_images_is_refused(vit_folder: Path) -> None:
    message = (
        r"tiny is for images of \(1, 8, 8\) \(channels, height, width\), but the corpus has "
        r"\(3, 16, 8\): set its clean\.size and clean\.mode"
    )
    with pytest.raises(BadInput, match=message):
        Checkpoint(vit_folder, "vit_mae", "tiny").image_model(vit, ImageTraits(3, 16, 8))


def test_code_beside_the_weights_is_never_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('code of a checkpoint was run')")
    edit_config(folder, auto_map={"AutoModel": "evil.Model", "AutoConfig": "evil.Config"})
    assert Checkpoint(folder, "bert", "tiny").encoder().config.num_hidden_layers == 1
