"""A small checkpoint as others publish them, and the places it may come from."""

import json
import zipfile
from pathlib import Path

import pytest

NAME = "tiny_bert-1.0-py3-none-any.whl"


@pytest.fixture(scope="session")
def published(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT without pretraining heads, whose special tokens come last and are filled up."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    from tasks.inputs.tokenising import read_texts
    from tasks.inputs.tokenizer import SPECIAL_TOKENS, train_tokenizer

    folder = tmp_path_factory.mktemp("published")
    learnt = train_tokenizer(lambda: read_texts(texts[0]), 500).get_vocab()
    ordinary = sorted(token for token in learnt if token not in SPECIAL_TOKENS)
    vocabulary = {token: place for place, token in enumerate([*ordinary, *SPECIAL_TOKENS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token of text
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    tokenizer.enable_truncation(8)
    tokenizer.enable_padding(length=8, pad_id=vocabulary["[PAD]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=len(vocabulary), intermediate_size=64, max_position_embeddings=64, **sizes
    )
    BertModel(config).half().save_pretrained(folder)
    (folder / "README.md").write_text("Not a part of the model.")
    return folder


@pytest.fixture(scope="session")
def published_gpt2(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 as published: a byte-level tokenizer, and one separator, its last token."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel

    from tasks.inputs.tokenising import read_texts

    folder = tmp_path_factory.mktemp("published-gpt2")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(read_texts(texts[0]), trainer)
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(1)
    end = tokenizer.token_to_id("<|endoftext|>")
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}
    config = GPT2Config(vocab_size=end + 1, bos_token_id=end, eos_token_id=end, **sizes)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def published_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT masked autoencoder for small images, its decoder of another shape than ours."""
    import torch
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    folder = tmp_path_factory.mktemp("published-vit")
    torch.manual_seed(1)
    encoder = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3}
    decoder = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = ViTMAEConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        intermediate_size=96,
        decoder_intermediate_size=64,
        **encoder,
        **{f"decoder_{name}": value for name, value in decoder.items()},
    )
    model = ViTMAEForPreTraining(config)
    for value in model.parameters():
        if value.ndim > 1:  # biases and norms begin well
            torch.nn.init.normal_(value, std=0.1)
    model.half().save_pretrained(folder)
    return folder


def write_wheel(index: Path, checkpoint: Path, folder: str = "tiny/model") -> None:
    """Put a checkpoint into a wheel whose code would fail if anything ran it."""
    contents = {
        "tiny/__init__.py": b"raise SystemExit('code of a wheel was run')",
        "tiny_bert-1.0.dist-info/METADATA": (
            b"Metadata-Version: 2.1\nName: tiny-bert\nVersion: 1.0\n"
        ),
        "tiny_bert-1.0.dist-info/WHEEL": (
            b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "tiny_bert-1.0.dist-info/RECORD": b"",
        **{f"{folder}/{path.name}": path.read_bytes() for path in sorted(checkpoint.iterdir())},
    }
    with zipfile.ZipFile(index / NAME, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that pip takes packages from, and from nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def answer(path: str, checkpoint: Path, commit: str) -> tuple[dict[str, str], bytes] | None:
    """Return headers and body of what the hub says to a request."""
    files = {file.name: file.read_bytes() for file in sorted(checkpoint.iterdir())}
    route = path.partition("?")[0]
    if route.startswith("/api/models/org/tiny/revision/"):
        names = [{"rfilename": name} for name in files]
        found = {"id": "org/tiny", "modelId": "org/tiny", "sha": commit, "siblings": names}
        return {}, json.dumps(found).encode()
    if route.startswith("/api/models/org/tiny/tree/"):
        listed = [
            {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
            for name, content in files.items()
        ]
        return {}, json.dumps(listed).encode()
    name = route.rpartition("/")[2]
    if route == f"/org/tiny/resolve/{commit}/{name}" and name in files:
        return {"ETag": f'"{name}-{len(files[name])}"', "X-Repo-Commit": commit}, files[name]
    return None
