"""Tokens per second of BERT pretraining, beside Hugging Face's ``Trainer``.

The same model, data and batch, in one run, in turns: ours; Trainer with its defaults; with
``bf16=True``; and with our dropout, attention and precision. What comes from settings is the
difference between the Trainers, what comes from the engine is the rest.

    python -m benchmarks.training_speed [--quick] [--json]

It needs the default pipeline's ``data/split/reuters/train.parquet`` (``dvc repro split@reuters``).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from tasks.objectives._task import Batch, ExampleRandom, Minimiser, Task

BATCH_SIZE, TOKENS, VOCABULARY = 32, 128, 8000
SOURCE = Path("data/split/reuters/train.parquet")
TRAINERS: dict[str, dict[str, Any]] = {
    "Trainer, defaults": {"dropout": 0.1, "attention": "sdpa", "bf16": False},
    "Trainer, bf16=True": {"dropout": 0.1, "attention": "sdpa", "bf16": True},
    "Trainer, our settings": {"dropout": 0.0, "attention": "eager", "bf16": True},
}


def main() -> None:
    """Time all four, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model, few steps")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    if not SOURCE.exists():
        sys.exit(f"{SOURCE} is missing: run `dvc repro split@reuters`")
    sizes = {"layers": 2, "hidden_size": 64, "heads": 2} if arguments.quick else {}
    num_steps, rounds = (4, 1) if arguments.quick else (16, 3)
    seconds: dict[str, list[float]] = {"downstream": [], **{name: [] for name in TRAINERS}}
    losses: dict[str, float] = {}
    for _ in range(rounds):
        for name in seconds:
            if name in TRAINERS:
                steps, losses[name] = time_trainer(sizes, num_steps, **TRAINERS[name])
            else:
                steps, losses[name] = time_ours(sizes, num_steps)
            seconds[name] += steps
    report(seconds, losses, as_json=arguments.json)


def report(seconds: dict[str, list[float]], losses: dict[str, float], *, as_json: bool) -> None:
    """Print tokens per second by the median step, and each Trainer's ratio to ours."""
    rates = {name: BATCH_SIZE * TOKENS / statistics.median(s) for name, s in seconds.items()}
    ours = rates["downstream"]
    print(f"{'':24}{'tokens/s':>10}{'ours is':>10}{'last loss':>11}")
    for name, rate in rates.items():
        print(f"{name:24}{rate:10,.0f}{ours / rate:9.2f}x{losses[name]:11.3f}")
    if as_json:
        ratios = {name: round(ours / rates[name], 3) for name in TRAINERS}
        result = {
            "ratio": ratios["Trainer, defaults"],
            "ratios": ratios,
            "tokens_per_second": rates,
        }
        print(json.dumps(result))


def packed_task(sizes: dict[str, int]) -> Any:
    """Return our masked task on examples of exactly ``TOKENS`` tokens, so that none is padding."""
    from tasks.contracts import registry
    from tasks.objectives import masked
    from tasks.objectives._documents import Documents
    from tasks.training.determinism import make_deterministic

    make_deterministic(0)
    architecture = registry.load("tasks.models.architectures", "bert", "architecture")
    settings = masked.Settings(tokens=TOKENS, vocabulary_size=VOCABULARY)
    task = masked.prepare(
        architecture, architecture.Settings(positions=TOKENS, **sizes), settings, SOURCE, SOURCE
    )
    tokens = task.train_documents.tokens
    room = TOKENS - 3
    starts = np.arange(0, len(tokens) // room * room + 1, room, dtype=np.int64)
    task.train_documents = Documents(tokens, starts, starts[:-1])
    return task


def time_ours(sizes: dict[str, int], num_steps: int) -> tuple[list[float], float]:
    """Return the seconds of each step of our loop, the first ones left out, and the last loss."""
    from tasks.training.loop import train
    from tasks.training.settings import TrainingSettings

    task = Limited(packed_task(sizes), num_steps)
    settings = TrainingSettings(epochs=1, batch_size=BATCH_SIZE)
    train(task, settings, 0, "downstream")
    return task.step_seconds(), task.last_loss


class Limited(Task):
    """A task cut to some steps, which notes when each begins."""

    def __init__(self, task: Any, num_steps: int) -> None:
        self.model = task.model
        self.lengths = task.lengths[: BATCH_SIZE * num_steps]
        self.last_loss = 0.0
        self._task = task
        self._starts: list[float] = []

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Hand on."""
        batch: Batch = self._task.batch(indices, randoms)
        return batch

    def loss(self, batch: Batch) -> Tensor:
        """Hand on."""
        loss: Tensor = self._task.loss(batch)
        return loss

    def step(self, state: Minimiser, parts: list[Batch]) -> Tensor:
        """Note the time, and keep the loss."""
        self._starts.append(time.perf_counter())
        loss = super().step(state, parts)
        self.last_loss = float(loss)
        return loss

    def step_seconds(self) -> list[float]:
        """Return the seconds from step to step, without the two that warm up."""
        return np.diff(self._starts)[2:].tolist()


def time_trainer(
    sizes: dict[str, int], num_steps: int, dropout: float, attention: str, *, bf16: bool
) -> tuple[list[float], float]:
    """Return the seconds of each step of Hugging Face's Trainer, and the last loss."""
    from transformers import (
        BertConfig,
        BertForPreTraining,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    task = packed_task(sizes)
    config = BertConfig.from_dict(
        {
            **task.model.config.to_dict(),
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
        }
    )
    config._attn_implementation = attention
    starts: list[float] = []
    losses: list[float] = []

    class Watch(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            starts.append(time.perf_counter())

        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            if "loss" in logs:
                losses.append(float(logs["loss"]))

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=BertForPreTraining(config),
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=BATCH_SIZE,
                max_steps=num_steps,
                learning_rate=1e-3,
                bf16=bf16,
                use_cpu=True,
                report_to=[],
                save_strategy="no",
                logging_steps=1,
                disable_tqdm=True,
                remove_unused_columns=False,
            ),
            train_dataset=list(trainer_examples(task, num_steps)),
            callbacks=[Watch()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return np.diff(starts)[2:].tolist(), losses[-1]


def trainer_examples(task: Any, num_steps: int) -> Iterator[dict[str, Any]]:
    """Yield the examples of our batches, masked as ours are, as Trainer wants them."""
    for step in range(num_steps):
        indices = np.arange(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
        batch = task.batch(indices, ExampleRandom(0, step, range(BATCH_SIZE)))
        labels = np.full(batch["input_ids"].shape, -100)
        labels.reshape(-1)[batch["places"]] = batch["targets"]
        for row in range(BATCH_SIZE):
            yield {
                "input_ids": batch["input_ids"][row],
                "attention_mask": batch["attention_mask"][row],
                "token_type_ids": batch["token_type_ids"][row],
                "labels": labels[row],
                "next_sentence_label": batch["is_random"][row],
            }


if __name__ == "__main__":
    main()
