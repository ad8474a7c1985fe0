"""Memory and tokenising speed of a pretraining on 2 GB of text, beside one on 50 MB.

Real Reuters texts are put together anew until there is enough; the masked objective trains its
tokenizer on them, tokenises them and takes some steps, in a process of its own whose anonymous
memory is watched (pages of mapped files are the system's to take back). Tokenising is also timed
in turns with ``datasets``' ``map``, which goes from file to file as ours does but encodes whole
texts, and with the bare ``tokenizers`` library on texts and on sentences in memory, which keeps
nothing: the bounds of the two.

    python -m benchmarks.large_corpus [--quick] [--json]

It writes some 4 GB to a temporary folder, and takes about a quarter of an hour on two cores;
``--quick`` compares 20 MB with 4 MB.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks._memory import Memory
from tasks.contracts import records

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "reuters-sample.csv"
SIZES = {"small": 50, "large": 2000}
QUICK_SIZES = {"small": 4, "large": 20}
VOCABULARY, TOKENS, BATCH_SIZE, STEPS = 2000, 128, 32, 60
PEERS = ("datasets", "library, texts", "library, sentences")


def main() -> None:
    """Measure both sizes, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 MB beside 4 MB")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--measure", metavar="SPLIT", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    sizes = QUICK_SIZES if arguments.quick else SIZES
    with tempfile.TemporaryDirectory(prefix="large-corpus-") as folder:
        found = {}
        for name, megabytes in sizes.items():
            split = Path(folder) / f"{name}.parquet"
            write_split(split, megabytes * 1_000_000)
            found[name] = in_own_process(split, Path(folder))
        speeds = tokenising_speeds(Path(folder) / "small.parquet", Path(folder))
    report(found, speeds, as_json=arguments.json)


def write_split(path: Path, num_bytes: int) -> None:
    """Write a split of about so many bytes of text."""
    with SAMPLE.open(encoding="utf-8") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    schema = records.split_schema("text")
    records.write_records(path, schema, _batches(texts, num_bytes, schema))


def _batches(texts: list[str], num_bytes: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    generator = np.random.default_rng(0)
    written = row = 0
    while written < num_bytes:
        chosen = generator.integers(len(texts), size=(1000, 4))
        made = ["\n".join(texts[place] for place in places) for places in chosen]
        ids = [str(row + number) for number in range(len(made))]
        columns = [pa.array(ids), pa.array(made), pa.nulls(len(made), pa.string())]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
        written += sum(map(len, made))
        row += len(made)


def in_own_process(split: Path, folder: Path) -> dict[str, Any]:
    """Run ``measure`` in a new process, whose tokens are kept in ``folder``."""
    command = [sys.executable, "-m", "benchmarks.large_corpus", "--measure", str(split)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(split: Path) -> dict[str, Any]:
    """Prepare the objective and take some steps; return seconds and peak memory of both."""
    from tasks.contracts import registry
    from tasks.objectives import masked
    from tasks.training.determinism import make_deterministic
    from tasks.training.loop import train
    from tasks.training.settings import TrainingSettings

    make_deterministic(0)
    bert = registry.load("tasks.models.architectures", "bert", "architecture")
    sizes = bert.Settings(layers=2, hidden_size=128, heads=4, positions=TOKENS)
    settings = masked.Settings(vocabulary_size=VOCABULARY, tokens=TOKENS)
    validation = split.with_name("validation.parquet")
    write_split(validation, 200_000)
    with Memory() as preparing:
        task: Any = masked.prepare(bert, sizes, settings, split, validation)
    with Memory() as training, contextlib.suppress(EnoughError):
        train(stopping(task), TrainingSettings(epochs=1, batch_size=BATCH_SIZE), 0, "steps")
    return {
        "texts": len(task.train_pairs.documents),
        "tokens": len(task.train_pairs.documents.tokens),
        "preparing": preparing.figures(),
        "training": training.figures(),
        "tokens_on_disk_mb": task.train_pairs.documents.tokens.nbytes / 1e6,
    }


class EnoughError(Exception):
    """So many steps are enough."""


def stopping(task: Any) -> Any:
    """Make a task raise ``EnoughError`` after some steps."""
    step: Callable[..., Any] = task.step
    taken: list[int] = []

    def counted(*arguments: Any) -> Any:
        taken.append(1)
        if len(taken) > STEPS:
            raise EnoughError
        return step(*arguments)

    task.step = counted
    return task


def tokenising_speeds(split: Path, folder: Path) -> dict[str, dict[str, float]]:
    """Return tokens per second and per CPU second of each side."""
    from tasks.inputs.tokenising import read_texts, split_sentences
    from tasks.inputs.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(partial(read_texts, split), VOCABULARY)
    texts = list(read_texts(split))
    sentences = [sentence for text in texts for sentence in split_sentences(text)]
    seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in ("ours", *PEERS)}
    for number in range(3):
        output = folder / f"tokens-{number}"
        seconds["ours"].append(timed(partial(ours, split, tokenizer, output)))
        cache = folder / f"datasets-{number}"
        seconds["datasets"].append(timed(partial(datasets_map, split, tokenizer, cache)))
        seconds["library, texts"].append(timed(partial(library, texts, tokenizer)))
        seconds["library, sentences"].append(timed(partial(library, sentences, tokenizer)))
    return {
        name: {
            "tokens_per_second": statistics.median(rate[0] for rate in rates),
            "tokens_per_cpu_second": statistics.median(rate[1] for rate in rates),
        }
        for name, rates in seconds.items()
    }


def ours(split: Path, tokenizer: Any, output: Path) -> int:
    """Tokenise a split into arrays on the disk; return the number of tokens."""
    from tasks.inputs.tokenising import TOKENS, write_tokens

    output.mkdir()
    write_tokens([split], tokenizer, output, by_sentence=True)
    return len(np.load(output / TOKENS, mmap_mode="r"))


def datasets_map(split: Path, tokenizer: Any, cache: Path) -> int:
    """Tokenise a split into an Arrow file by ``Dataset.map``; return the number of tokens."""
    import datasets

    def tokenise(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        encodings = tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)
        return {"ids": [encoding.ids for encoding in encodings]}

    datasets.disable_progress_bars()
    texts = datasets.Dataset.from_parquet(str(split), columns=["text"], cache_dir=str(cache))
    tokens = texts.map(tokenise, batched=True, remove_columns=["text"])
    return sum(len(chunk.flatten()) for chunk in tokens.data.column("ids").chunks)


def library(texts: list[str], tokenizer: Any) -> int:
    """Tokenise texts and keep nothing; return the number of tokens."""
    num_tokens = 0
    for start in range(0, len(texts), 2000):
        some = texts[start : start + 2000]
        num_tokens += sum(map(len, tokenizer.encode_batch_fast(some, add_special_tokens=False)))
    return num_tokens


def timed(tokenise: Callable[[], int]) -> tuple[float, float]:
    """Return tokens per second, and per second of the processor: the same on a busy machine."""
    started, cpu = time.perf_counter(), time.process_time()
    num_tokens = tokenise()
    return (
        num_tokens / (time.perf_counter() - started),
        num_tokens / (time.process_time() - cpu),
    )


def report(
    found: dict[str, dict[str, Any]], speeds: dict[str, dict[str, float]], *, as_json: bool
) -> None:
    """Print memory by size and phase, and tokens per second beside the library's."""
    peaks = {}
    print(f"{'':8}{'texts':>12}{'tokens':>14}{'preparing':>22}{'training':>22}")
    for name, figures in found.items():
        phases = [figures["preparing"], figures["training"]]
        shown = [f"{phase['peak_mb']:,.0f} MB, {phase['seconds']:,.0f} s" for phase in phases]
        print(f"{name:8}{figures['texts']:12,}{figures['tokens']:14,}{shown[0]:>22}{shown[1]:>22}")
        peaks[name] = max(phase["peak_mb"] for phase in phases)
    memory = round(peaks["large"] / peaks["small"], 3)
    ratios = {
        peer: {kind: round(rate / speeds[peer][kind], 3) for kind, rate in speeds["ours"].items()}
        for peer in PEERS
    }
    print(f"peak memory, large to small: {memory:.2f}")
    for peer in PEERS:
        wall, cpu = ratios[peer].values()
        print(f"tokenising, ours to {peer}: {wall:.2f} by the clock, {cpu:.2f} by processor time")
    if as_json:
        result = {
            "ratio": ratios["library, texts"]["tokens_per_second"],
            "ratios": {**ratios, "memory": memory},
            "sizes": found,
            "speeds": speeds,
        }
        print(json.dumps(result))


if __name__ == "__main__":
    main()
