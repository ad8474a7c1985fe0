"""Published checkpoints: what a training that starts from one does before its first step."""

from __future__ import annotations

import importlib
import json
import shutil
import struct
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzz import mutations, sources
from benchmarks.fuzz.cases import Kind

ARCHITECTURES = ("bert", "gpt2", "vit")
OBJECTIVES = {"bert": "masked", "gpt2": "causal", "vit": "masked_image"}
MODEL_TYPES = {"bert": "bert", "gpt2": "gpt2", "vit": "vit_mae"}
FOLDER = Path("checkpoint")
INDEX = "model.safetensors.index.json"


def plant(folder: Path) -> None:
    """Write a small checkpoint of each architecture as others publish them, and records."""
    import pyarrow as pa
    import torch
    from transformers import (
        BertConfig,
        BertForPreTraining,
        GPT2Config,
        GPT2LMHeadModel,
        ViTMAEConfig,
        ViTMAEForPreTraining,
    )

    from tasks.contracts import records
    from tasks.inputs.tokenizer import PADDING, token_id, train_tokenizer

    torch.manual_seed(0)
    texts = [text for text, _ in sources.rows()]
    tokenizer = train_tokenizer(lambda: texts, 200)
    number = tokenizer.get_vocab_size()
    few = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = BertConfig(
        vocab_size=number,
        intermediate_size=32,
        max_position_embeddings=32,
        pad_token_id=token_id(PADDING),
        **few,
    )
    gpt2 = GPT2Config(vocab_size=number + 1, n_embd=16, n_layer=1, n_head=2, n_positions=32)
    vit = ViTMAEConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        intermediate_size=64,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
        **few,
    )
    BertForPreTraining(bert).save_pretrained(folder / "bert")
    GPT2LMHeadModel(gpt2).save_pretrained(folder / "gpt2")
    ViTMAEForPreTraining(vit).save_pretrained(folder / "vit")
    tokenizer.save(str(folder / "bert" / "tokenizer.json"))
    tokenizer.add_special_tokens(["<|endoftext|>"])
    tokenizer.save(str(folder / "gpt2" / "tokenizer.json"))
    pictures = [_grey(number) for number in range(8)]
    for modality, contents in (("text", texts), ("image", pictures)):
        ids = [str(place) for place in range(len(contents))]
        columns = {"id": ids, modality: contents, "label": ["a"] * len(contents)}
        made = pa.table(columns).cast(records.split_schema(modality))  # type: ignore[arg-type]
        records.write_records(folder / f"{modality}.parquet", made.schema, made.to_batches())


def _grey(number: int) -> bytes:
    return sources.image("PPM", number)


def prepare(_planted: Path) -> None:
    """Import what is used."""
    import torch
    import transformers.models.bert.modeling_bert
    import transformers.models.gpt2.modeling_gpt2
    import transformers.models.vit_mae.modeling_vit_mae  # noqa: F401
    from transformers import AutoConfig, AutoModel  # noqa: F401

    for architecture, objective in OBJECTIVES.items():
        importlib.import_module(f"tasks.objectives.{objective}")
        importlib.import_module(f"tasks.models.architectures.{architecture}")
    import tasks.models.initial.published
    import tasks.pretrain.stage  # noqa: F401

    torch.set_num_threads(1)


def write(random: Random, planted: Path, folder: Path) -> None:
    """Write a checkpoint of which one or two files have changed."""
    architecture = random.choice(ARCHITECTURES)
    target = folder / FOLDER
    shutil.copytree(planted / architecture, target)
    for record in planted.glob("*.parquet"):
        shutil.copy(record, folder)
    (folder / "architecture").write_text(architecture)
    if random.random() < 0.25:
        _index(random, target)
    for _ in range(random.choice([1, 1, 2])):
        path = random.choice(sorted(target.iterdir()))
        if path.name.endswith(".safetensors"):
            path.write_bytes(_weights(random, path.read_bytes()))
        elif random.random() < 0.25 or path.suffix != ".json":
            path.write_bytes(mutations.mutated_bytes(random, path.read_bytes()))
        else:
            try:
                value = json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, RecursionError):
                continue  # the second change of one file
            changed = mutations.mutated(random, value)
            path.write_bytes(mutations.encoded(mutations.json_text(changed)))


def _index(random: Random, target: Path) -> None:
    """Have an index say where the weights lie."""
    with (target / "model.safetensors").open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        names = [name for name in json.loads(file.read(size)) if name != "__metadata__"]
    shard = "model-00001-of-00001.safetensors"
    (target / "model.safetensors").rename(target / shard)
    index: Any = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(names, shard)}
    if random.random() < 0.7:
        index["weight_map"][random.choice(names)] = mutations.nasty(random)
    (target / INDEX).write_bytes(mutations.encoded(mutations.json_text(index)))


def _weights(random: Random, content: bytes) -> bytes:
    """Return safetensors of which the header, or any bytes, have changed."""
    if random.random() < 0.4:
        return mutations.mutated_bytes(random, content)
    (size,) = struct.unpack("<Q", content[:8])
    try:
        header = json.loads(content[8 : 8 + size])
    except (ValueError, RecursionError):
        return mutations.mutated_bytes(random, content)
    text = mutations.encoded(mutations.json_text(mutations.mutated(random, header)))
    told = len(text) if random.random() < 0.9 else random.choice([0, 2**63, len(text) + 10**9])
    return struct.pack("<Q", told) + text + content[8 + size :]


def attempt() -> None:
    """Prepare a training from the checkpoint, as far as its first step."""
    from tasks.models.initial.published import Checkpoint

    architecture = Path("architecture").read_text()
    objective: Any = importlib.import_module(f"tasks.objectives.{OBJECTIVES[architecture]}")
    module = importlib.import_module(f"tasks.models.architectures.{architecture}")
    checkpoint = Checkpoint(FOLDER, MODEL_TYPES[architecture], "hub: someone/tiny")
    split = Path("image.parquet" if architecture == "vit" else "text.parquet")
    sizes = {} if architecture == "vit" else {"tokens": 16}
    settings = objective.Settings(**sizes)
    objective.prepare(module, None, settings, split, split, initial=checkpoint)


CHECKPOINTS = Kind("checkpoints", 20, plant, prepare, write, attempt)
