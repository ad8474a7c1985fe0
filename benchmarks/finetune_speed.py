"""Tokens per second of finetuning and of scoring BERT, and the share of them that is padding.

The same model, texts of natural lengths and batches, beside Hugging Face's ``Trainer``, in turns in
one run: Trainer with its defaults; with ``bf16=True``; and with our attention and precision. Only
tokens of texts are counted: a batch that is half padding is half as fast.

    python -m benchmarks.finetune_speed [--rounds 3] [--quick] [--json]

It reads the default pipeline's ``data/split/reuters/train.parquet`` where there is one (``dvc repro
split@reuters``), otherwise the tests' sample of these texts.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks._trainer import quiet_arguments, quiet_trainer
from tasks.contracts import records
from tasks.training.optimizers import Optimizers
from tasks.training.task import Batch

SPLIT = Path("data/split/reuters/train.parquet")
SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "reuters-sample.csv"
BATCH_SIZE, SCORING_BATCH_SIZE, TOKENS, VOCABULARY, DROPOUT = 32, 64, 256, 8000, 0.1
TRAINERS: dict[str, dict[str, Any]] = {
    "Trainer, defaults": {"attention": "sdpa", "bf16": False},
    "Trainer, bf16=True": {"attention": "sdpa", "bf16": True},
    "Trainer, our settings": {"attention": "eager", "bf16": True},
}


def main() -> None:
    """Time all four, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model, few texts, once")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is timed")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    sizes = {"layers": 2, "hidden_size": 64, "heads": 2} if arguments.quick else {}
    num_texts, rounds = (480, 1) if arguments.quick else (2000, arguments.rounds)
    found: dict[str, list[Figures]] = {"downstream": [], **{name: [] for name in TRAINERS}}
    with tempfile.TemporaryDirectory() as folder:
        data = Data(*labelled_texts(num_texts), Path(folder) / "backbone", sizes)
        for _ in range(rounds):
            for name, figures in found.items():
                timed = time_trainer(data, **TRAINERS[name]) if name in TRAINERS else ours(data)
                figures.append(timed)
    report(found, as_json=arguments.json)


def labelled_texts(num_texts: int) -> tuple[list[str], list[str]]:
    """Return real texts and their topics."""
    if SPLIT.exists():
        table = records.read_table(SPLIT).slice(0, num_texts)
        return table["text"].to_pylist(), table["label"].to_pylist()
    with SAMPLE.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:num_texts]
    return [row["text"] for row in rows], [row["label"] for row in rows]


class Data:
    """Texts, their labels, and an untrained backbone with a tokenizer of these texts."""

    def __init__(
        self, texts: list[str], topics: list[str], backbone: Path, sizes: dict[str, int]
    ) -> None:
        from tasks.inputs.tokenizer import PADDING, id_in, save_tokenizer, train_tokenizer
        from tasks.inputs.traits import TextTraits
        from tasks.models import text
        from tasks.models.architectures import bert
        from tasks.models.model import describe
        from tasks.training.determinism import make_deterministic

        make_deterministic(0)
        known = sorted(set(topics))
        tokenizer = train_tokenizer(lambda: texts, VOCABULARY)
        traits = TextTraits(tokenizer.get_vocab_size(), id_in(tokenizer, PADDING))
        text.save(bert.build(bert.Settings(positions=TOKENS, **sizes), traits), backbone)
        save_tokenizer(tokenizer, backbone, TOKENS)
        describe(backbone, architecture="bert", modality="text")
        self.backbone = backbone
        self.known = known
        self.num_labels = len(known)
        self.labels = np.array([known.index(topic) for topic in topics])
        self.inputs = text.TextBackbone(backbone).inputs(texts)


@dataclass
class Figures:
    """What was seen of one side."""

    starts: list[float] = field(default_factory=list)
    """When each training step began; the last is the end."""
    batches: list[tuple[int, int]] = field(default_factory=list)
    """Tokens of texts, and places, of each training batch."""
    scored: list[tuple[int, int]] = field(default_factory=list)
    """The same of each batch that was scored."""
    scoring_seconds: float = 0.0

    def training_rate(self) -> float:
        """Return tokens per second, without the two steps that warm up."""
        tokens = sum(batch[0] for batch in self.batches[2 : len(self.starts) - 1])
        return tokens / (self.starts[-1] - self.starts[2])

    def scoring_rate(self) -> float:
        """Return tokens per second."""
        return sum(batch[0] for batch in self.scored) / self.scoring_seconds


def padding_share(batches: list[tuple[int, int]]) -> float:
    """Return which share of the places no token of a text stands in."""
    return 1 - sum(batch[0] for batch in batches) / sum(batch[1] for batch in batches)


def size_of(batch: Any) -> tuple[int, int]:
    """Return the tokens of texts and the places of a batch."""
    places = batch["input_ids"].numel()
    return int(batch["attention_mask"].sum()) if "attention_mask" in batch else places, places


def ours(data: Data) -> Figures:
    """Finetune one epoch with our loop, then score the same texts."""
    from tasks.inputs.documents import TokenInputs
    from tasks.models.text import TextBackbone
    from tasks.objectives.classification import Classification, Examples
    from tasks.training.loop import train
    from tasks.training.settings import TrainingSettings

    figures = Figures()

    class Scored(TokenInputs):
        """Notes what is scored."""

        def batch(self, indices: np.ndarray) -> Batch:
            batch = super().batch(indices)
            figures.scored.append(size_of(batch))
            return batch

    class Watched(Classification):
        """Notes when each step begins, and its tokens."""

        def step(self, optimizers: Optimizers, parts: list[Batch]) -> Tensor:
            figures.starts.append(time.perf_counter())
            sizes = [size_of(part) for part in parts]
            figures.batches.append((sum(s[0] for s in sizes), sum(s[1] for s in sizes)))
            return super().step(optimizers, parts)

    model = TextBackbone(data.backbone).model(data.known, dropout=DROPOUT)
    scored = Scored(data.inputs.tokens, data.inputs.starts, data.inputs.padding_token)
    examples = Examples.of(data.inputs, data.labels)
    task = Watched(model, examples, Examples.of(scored, data.labels))
    train(task, TrainingSettings(epochs=1, batch_size=BATCH_SIZE), 0, "downstream")
    figures.starts.append(time.perf_counter())
    started = time.perf_counter()
    task.validate()
    figures.scoring_seconds = time.perf_counter() - started
    return figures


def time_trainer(data: Data, attention: str, *, bf16: bool) -> Figures:
    """Finetune one epoch with Hugging Face's Trainer, then score the same texts."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
    )

    figures = Figures()
    collate = DataCollatorWithPadding(AutoTokenizer.from_pretrained(data.backbone))
    training = True

    def watched(examples: list[dict[str, Any]]) -> Any:
        batch = collate(examples)
        (figures.batches if training else figures.scored).append(size_of(batch))
        return batch

    examples = [
        {
            **{name: value[0] for name, value in data.inputs.batch(np.array([place])).items()},
            "labels": label,
        }
        for place, label in enumerate(data.labels)
    ]
    with tempfile.TemporaryDirectory() as folder:
        trainer = quiet_trainer(
            figures.starts,
            model=AutoModelForSequenceClassification.from_pretrained(
                data.backbone, num_labels=data.num_labels, attn_implementation=attention
            ),
            args=quiet_arguments(
                folder,
                num_train_epochs=1,
                per_device_train_batch_size=BATCH_SIZE,
                per_device_eval_batch_size=SCORING_BATCH_SIZE,
                bf16=bf16,
            ),
            train_dataset=examples,
            data_collator=watched,
        )
        trainer.train()
        figures.starts.append(time.perf_counter())
        training = False
        started = time.perf_counter()
        trainer.predict(examples)
        figures.scoring_seconds = time.perf_counter() - started
    return figures


def report(found: dict[str, list[Figures]], *, as_json: bool) -> None:
    """Print median tokens per second and padding, and each Trainer's ratio to ours."""
    table = {
        name: {
            "training": statistics.median(figures.training_rate() for figures in rounds),
            "training_padding": padding_share(rounds[0].batches),
            "scoring": statistics.median(figures.scoring_rate() for figures in rounds),
            "scoring_padding": padding_share(rounds[0].scored),
        }
        for name, rounds in found.items()
    }
    best = table["downstream"]
    print(f"{'':24}{'training: tokens/s':>20}{'ours is':>9}{'padding':>9}", end="")
    print(f"{'scoring: tokens/s':>20}{'ours is':>9}{'padding':>9}")
    for name, row in table.items():
        print(f"{name:24}", end="")
        for kind in ("training", "scoring"):
            print(f"{row[kind]:20,.0f}{best[kind] / row[kind]:8.2f}x", end="")
            print(f"{row[f'{kind}_padding']:9.1%}", end="")
        print()
    if as_json:
        ratios = {
            name: {
                kind: round(best[kind] / table[name][kind], 3) for kind in ("training", "scoring")
            }
            for name in TRAINERS
        }
        result = {"ratio": ratios["Trainer, defaults"]["training"], "ratios": ratios, "rows": table}
        print(json.dumps(result))


if __name__ == "__main__":
    main()
