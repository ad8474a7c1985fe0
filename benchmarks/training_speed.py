"""Tokens per second of BERT pretraining, beside Hugging Face's ``Trainer``.

The same model from the same random weights, on the same batches in the same order, in one run, in
turns: ours; Trainer with its defaults; with ``bf16=True``; and with our settings (dropout,
attention, precision, schedule, AdamW). What comes from settings is the difference between the
Trainers, what comes from the engine is the rest. The losses are those of the same held-out batches,
without dropout, after as many tokens. Each round draws weights, order and masks anew.

Those batches are packed: no token is padding. Real texts have lengths, and their batches padding:
so a second table has one pass over R8's texts (cut to 128 tokens), each side with what it does by
itself: our batches of similar lengths, and Trainer's random ones, masked and padded by
transformers' ``DataCollatorForLanguageModeling``. Tokens there are the texts' own. Masked tokens
alone: no next sentence, which that collator does not make.

    python -m benchmarks.training_speed [--steps 120] [--rounds 2] [--quick] [--json]

It needs the default pipeline's ``data/split/reuters/train.parquet`` (``dvc repro split@reuters``),
and takes about a quarter of an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks._trainer import quiet_arguments, quiet_trainer
from tasks.inputs.tokenizer import MASK, PADDING, SEPARATOR, START, UNKNOWN
from tasks.training.optimizers import Optimizers
from tasks.training.task import Batch, ExampleRandom, Task

BATCH_SIZE, TOKENS, VOCABULARY = 32, 128, 8000
LEARNING_RATE, WARMUP = 1e-3, 0.1
HELD_OUT_BATCHES = 8
SOURCE = Path("data/split/reuters/train.parquet")
OURS = "downstream"
TRAINERS: dict[str, dict[str, Any]] = {
    "Trainer, defaults": {"dropout": 0.1, "attention": "sdpa", "bf16": False},
    "Trainer, bf16=True": {"dropout": 0.1, "attention": "sdpa", "bf16": True},
    "Trainer, our settings": {"dropout": 0.0, "attention": "eager", "bf16": True},
}
# Where the time of a step goes, by the names of torch's operators; the rest is "other".
PARTS = {
    "matrix products": ("aten::mm", "aten::addmm"),
    "attention": ("aten::bmm", "aten::baddbmm", "aten::_softmax", "aten::_softmax_backward_data"),
    "softmax of the loss": ("aten::_log_softmax", "aten::_log_softmax_backward_data"),
    "optimizer": ("aten::_fused_adamw_", "aten::linalg_vector_norm", "aten::_foreach_norm"),
    "copies and casts": ("aten::copy_", "aten::fill_"),
}


def main() -> None:
    """Time all four, print tables, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model, few steps")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument(
        "--steps", type=int, default=120, help="of each training; R8 has text for 140"
    )
    parser.add_argument("--rounds", type=int, default=2, help="seeds; how often each is timed")
    arguments = parser.parse_args()
    if not SOURCE.exists():
        sys.exit(f"{SOURCE} is missing: run `dvc repro split@reuters`")
    sizes = {"layers": 2, "hidden_size": 64, "heads": 2} if arguments.quick else {}
    num_steps, rounds = (6, 1) if arguments.quick else (arguments.steps, arguments.rounds)
    seconds: dict[str, list[float]] = {name: [] for name in (OURS, *TRAINERS)}
    losses: dict[str, list[float]] = {name: [] for name in seconds}
    peaks = []
    for seed in range(rounds):
        peaks.append(bf16_product_rate())
        for name in seconds:
            task = packed_task(sizes, num_steps, seed)
            if name == OURS:
                steps, batches = time_ours(task, num_steps, seed)
            else:
                steps = time_trainer(task, batches, **TRAINERS[name])
            seconds[name] += steps
            losses[name].append(held_out_loss(task, num_steps, seed))
    result = report(seconds, losses, statistics.median(peaks), parts_of_a_step(sizes))
    result["real_texts"] = on_real_texts(sizes, num_steps, rounds)
    if arguments.json:
        print(json.dumps(result))


def report(
    seconds: dict[str, list[float]],
    losses: dict[str, list[float]],
    peak: float,
    profile: dict[str, Any],
) -> dict[str, Any]:
    """Print tokens per second by the median step, ratios, and what a step is made of.

    Args:
        seconds: of each step, by whose it is.
        losses: of each round, likewise.
        peak: FLOP a second of a matrix product.
        profile: what ``parts_of_a_step`` gives.

    Returns:
        The figures.
    """
    medians = {name: statistics.median(steps) for name, steps in seconds.items()}
    rates = {name: BATCH_SIZE * TOKENS / median for name, median in medians.items()}
    print(f"{'':24}{'tokens/s':>10}{'ours is':>10}{'held-out loss':>15}")
    for name, rate in rates.items():
        loss = statistics.fmean(losses[name])
        print(f"{name:24}{rate:10,.0f}{rates[OURS] / rate:9.2f}x{loss:15.3f}")
    achieved = profile["flops"] / medians[OURS]
    print(
        f"\n{profile['flops'] / 1e9:.1f} GFLOP a step: {achieved / 1e9:.0f} GFLOP/s, "
        f"{achieved / peak:.0%} of the {peak / 1e9:.0f} of a bf16 matrix product (2048 x 2048)"
    )
    print(f"making a batch: {profile['batch_seconds'] * 1e3:.1f} ms, beside the step")
    for name, share in profile["shares"].items():
        print(f"  {name:24}{share:6.1%}")
    ratios = {name: round(rates[OURS] / rates[name], 3) for name in TRAINERS}
    return {
        "ratio": ratios["Trainer, defaults"],
        "ratios": ratios,
        "tokens_per_second": rates,
        "held_out_losses": losses,
        "share_of_peak": achieved / peak,
        "parts": profile["shares"],
        "batch_seconds": profile["batch_seconds"],
    }


def on_real_texts(sizes: dict[str, int], num_steps: int, rounds: int) -> dict[str, Any]:
    """Train on texts of their own lengths; print and return tokens a second, padding and losses.

    Args:
        sizes: of the model, where they are not the defaults.
        num_steps: batches; all see the same texts.
        rounds: seeds.
    """
    peers = {"Trainer, defaults": False, "Trainer, bf16=True": True}
    passes: dict[str, list[Pass]] = {name: [] for name in (OURS, *peers)}
    for seed in range(rounds):
        task = real_task(sizes, seed)
        passes[OURS].append(pass_of_ours(task, num_steps, seed))
        for name, bf16 in peers.items():
            passes[name].append(pass_of_trainer(sizes, num_steps, seed, bf16=bf16))
    rates = {name: statistics.fmean(p.tokens_per_second for p in of) for name, of in passes.items()}
    paddings = {name: statistics.fmean(p.padding for p in of) for name, of in passes.items()}
    losses = {name: [p.loss for p in of] for name, of in passes.items()}
    heads = f"{'tokens/s':>10}{'ours is':>10}{'padding':>10}{'validation loss':>17}"
    print(f"\n{'on real texts':24}{heads}")
    for name, rate in rates.items():
        ratio, loss = rates[OURS] / rate, statistics.fmean(losses[name])
        print(f"{name:24}{rate:10,.0f}{ratio:9.2f}x{paddings[name]:10.1%}{loss:17.3f}")
    ratios = {name: round(rates[OURS] / rates[name], 3) for name in peers}
    return {"ratios": ratios, "tokens_per_second": rates, "padding": paddings, "losses": losses}


@dataclass(frozen=True)
class Pass:
    """One pass over some texts."""

    tokens: list[int]
    """Of the texts in each batch."""
    places: list[int]
    """Tokens and padding."""
    seconds: list[float]
    """Of each step; of the last one it is not known."""
    loss: float
    """On the validation split."""

    @property
    def tokens_per_second(self) -> float:
        """Of the texts, the first two steps left out."""
        return sum(self.tokens[2:-1]) / sum(self.seconds[2:])

    @property
    def padding(self) -> float:
        """The share of all places."""
        return 1 - sum(self.tokens) / sum(self.places)


def real_task(sizes: dict[str, int], seed: int) -> Any:
    """Return our masked task on R8's texts, of which none is longer than ``TOKENS``."""
    from tasks.contracts import registry
    from tasks.objectives import masked
    from tasks.training.determinism import make_deterministic

    make_deterministic(seed)
    architecture = registry.load("tasks.models.architectures", "bert", "architecture")
    settings = masked.Settings(tokens=TOKENS, vocabulary_size=VOCABULARY, next_sentence=False)
    validation = SOURCE.with_name("validation.parquet")
    sizes_of = architecture.Settings(positions=TOKENS, **sizes)
    return masked.prepare(architecture, sizes_of, settings, SOURCE, validation)


def pass_of_ours(task: Any, num_steps: int, seed: int) -> Pass:
    """Train with our loop, whose batches have texts of similar lengths."""
    from tasks.training.loop import train

    watched = Watched(task, num_steps)
    train(watched, training_settings(), seed, OURS)
    return Pass(*sizes_of_batches(watched.batches), np.diff(watched.starts).tolist(), loss_of(task))


def pass_of_trainer(sizes: dict[str, int], num_steps: int, seed: int, *, bf16: bool) -> Pass:
    """Train on the same texts with Trainer's defaults and transformers' own collator.

    Args:
        sizes: of the model.
        num_steps: batches.
        seed: of weights, order and masks.
        bf16: Trainer's setting.
    """
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        DataCollatorForLanguageModeling,
        PreTrainedTokenizerFast,
    )

    task = real_task(sizes, seed)
    config = BertConfig.from_dict(
        {
            **task.model.config.to_dict(),
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
        }
    )
    config._attn_implementation = "sdpa"
    model = BertForMaskedLM(config)
    model.load_state_dict(task.model.state_dict(), strict=False)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=task._tokenizer,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        cls_token=START,
        sep_token=SEPARATOR,
        mask_token=MASK,
    )
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    batches: list[Batch] = []

    def noting(examples: list[dict[str, Any]]) -> Batch:
        batch: Batch = collator(examples)
        batches.append(batch)
        return batch

    starts: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        quiet_trainer(
            starts,
            model=model,
            args=quiet_arguments(
                folder,
                per_device_train_batch_size=BATCH_SIZE,
                max_steps=num_steps,
                learning_rate=LEARNING_RATE,
                bf16=bf16,
                seed=seed,
                logging_steps=num_steps,
            ),
            data_collator=noting,
            train_dataset=texts_for_trainer(task, BATCH_SIZE * num_steps),
        ).train()
    task.model.load_state_dict(model.state_dict(), strict=False)
    return Pass(*sizes_of_batches(batches), np.diff(starts).tolist(), loss_of(task))


def texts_for_trainer(task: Any, number: int) -> list[dict[str, list[int]]]:
    """Return the tokens of the first texts as ``[CLS] text [SEP]``, cut to ``TOKENS``."""
    first, last = (task._tokenizer.token_to_id(name) for name in (START, SEPARATOR))
    documents = task.train_pairs.documents
    texts = (
        documents.tokens[start:end][: TOKENS - 2].tolist()
        for start, end in pairwise(documents.text_starts[: number + 1])
    )
    return [{"input_ids": [first, *text, last]} for text in texts]


def sizes_of_batches(batches: list[Batch]) -> tuple[list[int], list[int]]:
    """Return how many tokens of texts each batch has, and how many places."""
    places = [batch["input_ids"].numel() for batch in batches]
    masks = [batch.get("attention_mask") for batch in batches]
    tokens = [
        number if mask is None else int(mask.sum())
        for number, mask in zip(places, masks, strict=True)
    ]
    return tokens, places


def loss_of(task: Any) -> float:
    """Return the task's loss on its validation split."""
    task.model.eval()
    return float(task.validate()["loss"])


def bf16_product_rate() -> float:
    """Return this machine's rate of a bf16 matrix product of 2048², in FLOP a second."""
    import torch

    size, repeats = 2048, 10
    matrix = torch.randn(size, size).bfloat16()
    matrix @ matrix
    started = time.perf_counter()
    for _ in range(repeats):
        matrix @ matrix
    return repeats * 2 * size**3 / (time.perf_counter() - started)


def packed_task(sizes: dict[str, int], num_steps: int, seed: int) -> Any:
    """Return our masked task on examples of exactly ``TOKENS`` tokens, so that none is padding.

    It has so many batches as the training has steps, and some more for ``held_out_loss``.
    """
    from tasks.contracts import registry
    from tasks.inputs.documents import Documents
    from tasks.inputs.pairs import SegmentPairs
    from tasks.objectives import masked
    from tasks.training.determinism import make_deterministic

    make_deterministic(seed)
    architecture = registry.load("tasks.models.architectures", "bert", "architecture")
    settings = masked.Settings(tokens=TOKENS, vocabulary_size=VOCABULARY)
    task = masked.prepare(
        architecture, architecture.Settings(positions=TOKENS, **sizes), settings, SOURCE, SOURCE
    )
    room = TOKENS - 3
    num_examples = BATCH_SIZE * (num_steps + HELD_OUT_BATCHES)
    starts = np.arange(0, room * num_examples + 1, room, dtype=np.int64)
    tokens = task.train_pairs.documents.tokens
    if starts[-1] > len(tokens):
        sys.exit(f"{SOURCE} has too few tokens for {num_examples} examples")
    task.train_pairs = SegmentPairs(Documents(tokens, starts, starts[:-1]))
    return task


def held_out_loss(task: Any, num_steps: int, seed: int) -> float:
    """Return the mean loss of the batches after the training's, without dropout, in fp32."""
    import torch

    task.model.eval()
    losses = []
    with torch.inference_mode():
        for step in range(num_steps, num_steps + HELD_OUT_BATCHES):
            losses.append(float(task.loss(batch_of(task, step, seed))))
    return statistics.fmean(losses)


def batch_of(task: Any, step: int, seed: int) -> Batch:
    """Return the examples of one step, masked by its random numbers."""
    indices = np.arange(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
    batch: Batch = task.batch(indices, ExampleRandom(seed, step, range(BATCH_SIZE)))
    return batch


def training_settings() -> Any:
    """Return our settings."""
    from tasks.training.settings import TrainingSettings

    return TrainingSettings(
        epochs=1, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE, warmup=WARMUP
    )


def time_ours(task: Any, num_steps: int, seed: int) -> tuple[list[float], list[Batch]]:
    """Return the seconds of each step of our loop, the first ones left out, and its batches."""
    from tasks.training.loop import train

    watched = Watched(task, num_steps)
    train(watched, training_settings(), seed, OURS)
    return np.diff(watched.starts)[2:].tolist(), watched.batches


class Watched(Task):
    """A task cut to some steps, which notes when each begins, and its batch."""

    def __init__(self, task: Any, num_steps: int) -> None:
        self.model = task.model
        self.lengths = task.lengths[: BATCH_SIZE * num_steps]
        self.starts: list[float] = []
        self.batches: list[Batch] = []
        self._task = task

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Hand on, and note the batch."""
        batch: Batch = self._task.batch(indices, randoms)
        self.batches.append(batch)
        return batch

    def loss(self, batch: Batch) -> Tensor:
        """Hand on."""
        loss: Tensor = self._task.loss(batch)
        return loss

    def step(self, optimizers: Optimizers, parts: list[Batch]) -> Tensor:
        """Note the time, and hand on."""
        self.starts.append(time.perf_counter())
        return super().step(optimizers, parts)


def parts_of_a_step(sizes: dict[str, int]) -> dict[str, Any]:
    """Return a step's FLOPs, the shares of its time by part, and the seconds to make a batch."""
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode

    from tasks.training.loop import train

    task = packed_task(sizes, 4, seed=0)
    batch = batch_of(task, 0, seed=0)
    with FlopCounterMode(display=False) as counter:
        task.loss(batch).backward()
    task.model.zero_grad(set_to_none=True)
    started = time.perf_counter()
    for step in range(4):
        batch_of(task, step, seed=0)
    batch_seconds = (time.perf_counter() - started) / 4
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        train(Watched(task, 4), training_settings(), 0, OURS)
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    whole = sum(times.values())
    shares = {name: sum(times.get(o, 0) for o in own) / whole for name, own in PARTS.items()}
    shares["other"] = 1 - sum(shares.values())
    return {"flops": counter.get_total_flops(), "shares": shares, "batch_seconds": batch_seconds}


def time_trainer(
    task: Any, batches: list[Batch], dropout: float, attention: str, *, bf16: bool
) -> list[float]:
    """Train the task's model with Hugging Face's Trainer; return the seconds of each step."""
    from transformers import BertConfig, BertForPreTraining

    config = BertConfig.from_dict(
        {
            **task.model.config.to_dict(),
            "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
        }
    )
    config._attn_implementation = attention
    starts: list[float] = []
    model = BertForPreTraining(config)
    model.load_state_dict(task.model.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        quiet_trainer(
            starts,
            model=model,
            args=trainer_arguments(folder, len(batches), bf16, same=dropout == 0.0),
            train_dataset=list(trainer_examples(batches)),
        ).train()
    task.model.load_state_dict(model.state_dict())
    return np.diff(starts)[2:].tolist()


def trainer_arguments(folder: str, num_steps: int, bf16: bool, same: bool) -> Any:
    """Return Trainer's arguments; ``same`` gives it our schedule and optimizer too."""
    from tasks.training.optimizers import BETAS

    ours = {
        "warmup_steps": round(WARMUP * num_steps),
        "lr_scheduler_type": "cosine",
        "adam_beta2": BETAS[1],
        "weight_decay": training_settings().weight_decay,
        "optim": "adamw_torch_fused",
    }
    return quiet_arguments(
        folder,
        per_device_train_batch_size=BATCH_SIZE,
        max_steps=num_steps,
        train_sampling_strategy="sequential",
        learning_rate=LEARNING_RATE,
        bf16=bf16,
        logging_steps=num_steps,
        remove_unused_columns=False,
        **(ours if same else {}),
    )


def trainer_examples(batches: list[Batch]) -> Iterator[dict[str, Any]]:
    """Yield the examples of our batches as Trainer wants them."""
    for batch in batches:
        labels = np.full(batch["input_ids"].shape, -100)
        labels.reshape(-1)[batch["positions"]] = batch["targets"]
        for row in range(BATCH_SIZE):
            yield {
                "input_ids": batch["input_ids"][row],
                # Ours leaves it out where nothing is padded; tokenizers give it always.
                "attention_mask": np.ones(TOKENS, dtype=np.int64),
                "token_type_ids": batch["token_type_ids"][row],
                "labels": labels[row],
                "next_sentence_label": batch["is_random"][row],
            }


if __name__ == "__main__":
    main()
