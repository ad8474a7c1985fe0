"""How long a training takes to begin, the first time and every later one, as its tokens grow.

Texts are made up of random words, tokenised once by byte-level BPE, and read as windows of 1,024
tokens. The first start tokenises; a later one opens what is there, as after a kill, and each rank
of a training does. What a later start costs for each further token is taken from the two largest
corpora, and added up to ten billion tokens; what an epoch's order costs is measured at that size.

    python -m benchmarks.startup [--tokens 1000000 10000000 100000000] [--json]

The largest needs 1 GB of disk and about two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.contracts import records
from tasks.inputs import token_cache
from tasks.inputs.documents import Documents, Stream
from tasks.models.architectures import gpt2
from tasks.objectives import causal
from tasks.training.batches import BatchOrder
from tasks.training.determinism import make_deterministic
from tasks.training.task import ExampleRandom

WINDOW, BATCH_SIZE = 1024, 512
WORDS, WORDS_OF_TEXT = 3000, 400
TEXTS_AT_ONCE = 500
VALIDATION_SHARE = 0.01
WANTED = 10_000_000_000


def main() -> None:
    """Time all sizes, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--tokens", type=int, nargs="+", default=[10**6, 10**7, 10**8])
    arguments = parser.parse_args()
    rows = [timed(tokens) for tokens in sorted(arguments.tokens)]
    print("| tokens | first start | a later one |\n|---|---|---|")
    for row in rows:
        print(f"| {row['tokens']:,} | {row['first']:.1f} s | {row['later']:.2f} s |")
    order = time_of_order(WANTED)
    print(f"order of {WANTED:,} tokens in windows of {WINDOW:,}: {order:.1f} s")
    figures = {"rows": rows, "order_seconds": order}
    if len(rows) > 1:
        smaller, larger = rows[-2:]
        slope = (larger["later"] - smaller["later"]) / (larger["tokens"] - smaller["tokens"])
        expected = larger["later"] + max(slope, 0.0) * (WANTED - larger["tokens"]) + order
        print(f"a later start at {WANTED:,} tokens, extrapolated: {expected:.0f} s")
        figures |= {"expected_seconds": expected, "ratio": 60 / expected}
    if arguments.json:
        print(json.dumps(figures))


def timed(num_tokens: int) -> dict[str, Any]:
    """Make a corpus of about so many tokens, and start a training on it twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token_cache.FOLDER = folder / "tokens"
        splits = folder / "train.parquet", folder / "validation.parquet"
        write_texts(splits[0], num_tokens, seed=0)
        write_texts(splits[1], round(num_tokens * VALIDATION_SHARE), seed=1)
        first, tokens = start(splits)
        for path in [*splits, *token_cache.FOLDER.rglob("*.npy")]:
            os.utime(path, (time.time() - 60, time.time() - 60))
        start(splits)  # the first one after that notes what it has hashed
        later, _ = start(splits)
    return {"tokens": tokens, "first": first, "later": later}


def start(splits: tuple[Path, Path]) -> tuple[float, int]:
    """Return the seconds until the first batch is there, and the tokens of an epoch."""
    started = time.perf_counter()
    make_deterministic(0)
    settings = causal.Settings(tokens=WINDOW, vocabulary_size=4000, tokenizer="bytes")
    sizes = gpt2.Settings(layers=1, hidden_size=64, heads=2, positions=WINDOW)
    task = causal.prepare(gpt2, sizes, settings, *splits)
    order = BatchOrder(task.lengths, min(BATCH_SIZE, len(task.lengths)), 0)
    indices = order.indices(0)
    task.batch(indices, ExampleRandom(0, 0, np.arange(len(indices))))
    return time.perf_counter() - started, int(task.lengths.sum())


def time_of_order(num_tokens: int) -> float:
    """Return the seconds in which the order of so many tokens is made, and the texts' index."""
    starts = np.arange(0, num_tokens + 1, 500)
    started = time.perf_counter()
    Stream(Documents(np.zeros(0, np.uint16), starts, starts[:-1]), 0)
    BatchOrder(np.full(num_tokens // WINDOW, WINDOW), BATCH_SIZE, 0).indices(0)
    return time.perf_counter() - started


def write_texts(path: Path, num_tokens: int, seed: int) -> None:
    """Write texts of random words, about so many tokens in all, as a split."""
    letters = np.random.default_rng(5)
    words = np.array(
        ["".join(letters.choice(list("abcdefghijklmnop"), 2 + i % 6)) for i in range(WORDS)]
    )
    generator = np.random.default_rng(seed)
    schema = records.split_schema("text")

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, max(1, num_tokens // WORDS_OF_TEXT), TEXTS_AT_ONCE):
            # Few words are frequent, as in texts.
            drawn = (WORDS * generator.random((TEXTS_AT_ONCE, WORDS_OF_TEXT)) ** 3).astype(int)
            rows = [
                {"id": f"{first + number}", "text": " ".join(words[chosen]), "label": None}
                for number, chosen in enumerate(drawn)
            ]
            yield pa.RecordBatch.from_pylist(rows, schema=schema)

    records.write_records(path, schema, batches())


if __name__ == "__main__":
    main()
