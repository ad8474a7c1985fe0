"""Small text classifiers, trained while the tests run, and what finetune leaves beside them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.contracts import records

SAMPLE = Path(__file__).parent / "data" / "reuters-sample.csv"


def sample_texts() -> tuple[list[str], list[str]]:
    """Return real texts and their labels."""
    with SAMPLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def save_text_classifier(
    folder: Path,
    architecture: str,
    sizes: dict[str, Any],
    num_steps: int = 0,
    pooling: str = "auto",
    *,
    by_bytes: bool = False,
) -> None:
    """Save a classifier of the sample's texts, trained for a few steps or not at all.

    Args:
        folder: what is written.
        architecture: the key.
        sizes: its settings.
        num_steps: of training.
        pooling: what the head sees.
        by_bytes: tokenise by byte-level BPE, as a causal model of ``tokenizer: bytes`` does.
    """
    import torch

    from tasks.contracts import registry
    from tasks.inputs.tokenizer import PADDING, save_tokenizer, token_id, train_tokenizer
    from tasks.inputs.traits import TextTraits
    from tasks.models.frequencies import save_frequencies
    from tasks.models.model import describe
    from tasks.models.text import TextBackbone, save

    texts, labels = sample_texts()
    classes = sorted(set(labels))
    torch.manual_seed(0)
    module: Any = registry.load("tasks.models.architectures", architecture, "architecture")
    tokenizer = byte_tokenizer(texts, 400) if by_bytes else train_tokenizer(lambda: texts, 400)
    backbone = folder.with_name(f"{folder.name}-backbone")
    traits = TextTraits(tokenizer.get_vocab_size(), token_id(PADDING))
    save(module.build(module.Settings(**sizes), traits), backbone)
    save_tokenizer(tokenizer, backbone, 64)
    describe(backbone, architecture=architecture, modality="text")
    inputs = TextBackbone(backbone).inputs(texts)
    save_frequencies(np.bincount(inputs.tokens, minlength=traits.vocabulary_size), backbone)
    model = TextBackbone(backbone).model(classes, pooling=pooling)
    targets = torch.tensor([classes.index(label) for label in labels])
    optimizer = torch.optim.Adam(model.module.parameters(), lr=3e-3)
    for step in range(num_steps):
        chosen = (7 * torch.arange(32) + 5 * step) % len(texts)  # of all classes
        loss = torch.nn.functional.cross_entropy(
            model.logits(inputs.batch(chosen.numpy())), targets[chosen]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save(folder)


def byte_tokenizer(texts: list[str], vocabulary_size: int) -> Any:
    """Return byte-level BPE that sets a separator before a text, as causal models leave it."""
    from tokenizers import processors

    from tasks.inputs.byte_pairs import train_byte_tokenizer
    from tasks.inputs.tokenizer import SEPARATOR, token_id

    tokenizer = train_byte_tokenizer(texts, vocabulary_size)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{SEPARATOR} $A", special_tokens=[(SEPARATOR, token_id(SEPARATOR))]
    )
    return tokenizer


def save_tiny_bert(folder: Path, texts: list[str], labels: list[str], vocabulary_size: int) -> None:
    """Save the smallest classifier of texts that is real: a BERT of one layer, random weights.

    Args:
        folder: what is written.
        texts: what its tokenizer is trained on.
        labels: its classes.
        vocabulary_size: the most tokens of it.
    """
    import torch
    from transformers import BertConfig, BertForPreTraining

    from tasks.inputs.tokenizer import save_tokenizer, train_tokenizer
    from tasks.models.model import describe
    from tasks.models.text import TextBackbone

    tokenizer = train_tokenizer(lambda: texts, vocabulary_size)
    save_tokenizer(tokenizer, folder, 16)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        pad_token_id=0,
    )
    BertForPreTraining(config).save_pretrained(folder)
    describe(folder, architecture="bert", modality="text")
    TextBackbone(folder).model(labels).save(folder)


def save_tiny_gpt(folder: Path, texts: list[str], vocabulary_size: int) -> None:
    """Save the smallest language model that is real: a GPT-2 of one layer, random weights.

    Args:
        folder: what is written.
        texts: what its tokenizer, of bytes, is trained on.
        vocabulary_size: the most tokens of it.
    """
    import torch

    from tasks.inputs.tokenizer import PADDING, save_tokenizer, token_id
    from tasks.inputs.traits import TextTraits
    from tasks.models.architectures import gpt2
    from tasks.models.model import describe
    from tasks.models.text import save

    tokenizer = byte_tokenizer(texts, vocabulary_size)
    torch.manual_seed(0)
    traits = TextTraits(tokenizer.get_vocab_size(), token_id(PADDING))
    sizes = gpt2.Settings(layers=1, hidden_size=32, heads=2, positions=64)
    save(gpt2.build(sizes, traits), folder)
    save_tokenizer(tokenizer, folder, 64)
    describe(folder, architecture="gpt2", modality="text")


def add_wide_part(folder: Path, texts: list[str]) -> None:
    """Give a classifier of texts a wide part: all words and pairs of some texts, random weights."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    from tasks.contracts import files
    from tasks.models.wide import Ngrams, NgramScores, WidePart

    ngrams = Ngrams("word", 1, 2)
    fitted = TfidfVectorizer(sublinear_tf=True, **ngrams.options()).fit(texts)
    names = [str(name) for name in fitted.get_feature_names_out()]
    num_labels = len(files.read_json(folder / "downstream.json")["labels"])
    random = np.random.default_rng(0)
    weights, biases = (
        random.normal(size=shape).astype(np.float32)
        for shape in ((len(names), num_labels), num_labels)
    )
    WidePart([NgramScores(ngrams, names, fitted.idf_, weights, biases)]).save(folder)


def write_finetuned_on(folder: Path, train: Path) -> None:
    """Write what finetune leaves beside a model: all of train was used, and no folds."""
    chosen = records.read_table(train).select(["id", "label"])
    empty = pa.schema([("id", pa.string()), ("label", pa.string())]).empty_table()
    for name, table in (("labels", chosen), ("folds", empty)):
        records.write_records(folder / f"{name}.parquet", table.schema, table.to_batches())
