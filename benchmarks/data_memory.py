"""Peak memory of each data stage on a large corpus, beside that on a small one.

Texts of the real corpora (Reuters, 20 Newsgroups) are put together anew, with words replaced, until
there is enough: half of the documents are passages of several, a quarter are near-duplicates of
one before, and a few repeat one. Collect, clean, split and validate, all three of them with
near-duplicates, run in processes of their own; what is counted is the memory of these and of their
children that is no page of a file, which the system takes back when it needs room.

    python -m benchmarks.data_memory [--megabytes 100 400] [--memory MIB] [--quick] [--json]

``--memory`` is that of ``params.yaml``.

It downloads the wheel of Orange's text add-on (38 MB). 2,000 MB take half an hour on two busy
cores and 15 GB of disk, in a temporary folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.quality import CORPORA, corpus_row
from tasks.contracts.params import MEMORY, set_variables
from tasks.contracts.paths import PARTS
from tasks.contracts.records import read_table
from tasks.machine.memory import DEFAULT_MIB

STAGES = ("collect", "clean", "split", "validate")
NEAR = {"similarity": 0.8}
_REPLACED = 0.1
_ROWS = 2_000


def main() -> None:
    """Measure, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 400, 2000])
    parser.add_argument("--memory", type=int, help="MiB that a stage may take, as in params.yaml")
    parser.add_argument("--quick", action="store_true", help="2 and 4 MB")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--folder", type=Path, help="where there is room; a temporary folder else")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        run_stage(arguments.stage)
        return
    set_variables({MEMORY: arguments.memory} if arguments.memory else {}, os.environ, [MEMORY])
    sizes = [2, 4] if arguments.quick else arguments.megabytes
    found = {}
    with tempfile.TemporaryDirectory(prefix="data-memory-", dir=arguments.folder) as name:
        texts = real_texts(Path(name))
        for megabytes in sizes:
            folder = Path(name) / f"{megabytes}"
            write_source(folder / "sources" / "all.parquet", texts, megabytes * 1_000_000)
            found[str(megabytes)] = {stage: in_own_process(stage, folder) for stage in STAGES}
            limit = (arguments.memory or DEFAULT_MIB) * 2**20 / 1e6
            report(megabytes, found[str(megabytes)], limit)
    if arguments.json:
        print(json.dumps(found))


def real_texts(folder: Path) -> list[tuple[str, str]]:
    """Return texts and labels of the real corpora."""
    from tasks.collect import stage as collect
    from tasks.collect.refresh import refresh
    from tasks.collect.settings import Settings

    texts = []
    for name in ("20ng", "r52"):
        settings = Settings.parse(corpus_row(CORPORA[name])["collect"], "collect")
        pin = folder / name / "pin.json"
        refresh(name, settings, pin)
        collect.run(name, folder, pin, folder / name, settings)
        table = read_table(folder / name / "records.parquet", ["text", "label"])
        texts += list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return texts


def write_source(path: Path, texts: list[tuple[str, str]], num_bytes: int) -> None:
    """Write a file of about so many bytes of text."""
    path.parent.mkdir(parents=True)
    schema = pa.schema([pa.field("text", pa.string()), pa.field("label", pa.string())])
    generator = np.random.default_rng(0)
    words = [(text.split(), label) for text, label in texts if text.strip()]
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while written < num_bytes:
            made = list(_made(words, generator))
            batch = pa.RecordBatch.from_pylist(made, schema=schema)
            writer.write_batch(batch)
            written += pc.sum(pc.binary_length(batch.column("text"))).as_py()


def _made(
    texts: list[tuple[list[str], str]], generator: np.random.Generator
) -> Iterator[dict[str, str]]:
    """Yield some documents: passages, and near-duplicates and repetitions of these."""
    made: list[tuple[list[str], str]] = []
    for kind in generator.random(_ROWS).tolist():
        if made and kind < 0.02:
            words, label = made[generator.integers(len(made))]
        elif made and kind < 0.25:
            words, label = made[generator.integers(len(made))]
            words = _edited(words, texts, 0.02, generator)
        else:
            words, label = [], texts[generator.integers(len(texts))][1]
            for place in generator.integers(len(texts), size=3).tolist():
                passage = texts[place][0]
                start = int(generator.integers(max(1, len(passage) - 100)))
                words = words + passage[start : start + 100]
            words = _edited(words, texts, _REPLACED, generator)
            made.append((words, label))
        yield {"text": " ".join(words), "label": label}


def _edited(
    words: list[str],
    texts: list[tuple[list[str], str]],
    share: float,
    generator: np.random.Generator,
) -> list[str]:
    """Return words, a share of them replaced by the words of another text."""
    others = texts[generator.integers(len(texts))][0]
    edited = list(words)
    for place in np.flatnonzero(generator.random(len(words)) < share).tolist():
        edited[place] = others[int(generator.integers(len(others)))]
    return edited


def in_own_process(stage: str, folder: Path) -> dict[str, float]:
    """Run a stage in a new process, and return its seconds and peak memory."""
    command = [sys.executable, "-m", "benchmarks.data_memory", "--stage", stage]
    root = str(Path(__file__).parents[1])
    started, peak, peak_with_files = time.monotonic(), 0.0, 0.0
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": root}, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            anonymous, with_files = megabytes_of(process.pid)
            peak, peak_with_files = max(peak, anonymous), max(peak_with_files, with_files)
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{stage} in {folder} failed: exit code {process.returncode}")
    seconds = round(time.monotonic() - started, 1)
    return {
        "seconds": seconds,
        "peak_mb": round(peak, 1),
        "peak_with_files_mb": round(peak_with_files, 1),
    }


def megabytes_of(process: int) -> tuple[float, float]:
    """Return the memory of a process and its children: without pages of files, and with them."""
    anonymous = with_files = 0.0
    try:
        status = Path(f"/proc/{process}/status").read_text()
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = " ".join((task / "children").read_text() for task in tasks).split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name in ("RssAnon", "RssFile"):
            with_files += int(value.split()[0]) * 1024 / 1e6
            anonymous += int(value.split()[0]) * 1024 / 1e6 if name == "RssAnon" else 0
    for child in children:
        found = megabytes_of(int(child))
        anonymous, with_files = anonymous + found[0], with_files + found[1]
    return anonymous, with_files


def run_stage(stage: str) -> None:
    """Run one stage in this process, in the folder where it is started."""
    here = Path.cwd()
    if stage == "collect":
        from tasks.collect import stage as collect
        from tasks.collect.settings import Settings as Collect

        sources = {"sources": [{"kind": "files", "path": "*.parquet", "text": "text"}]}
        collect.run(
            "large",
            here / "sources",
            here / "pin.json",
            here / stage,
            Collect.parse(sources, stage),
        )
    elif stage == "clean":
        from tasks.clean import stage as clean
        from tasks.clean.settings import Settings as Clean
        from tasks.clean.shard_work import Kept

        kept = Kept.of("large", code="measured")
        settings = Clean.parse({"near_duplicates": NEAR}, stage)
        clean.run(here / "collect" / "records.parquet", here / stage, settings, kept)
    elif stage == "split":
        from tasks.split import stage as split
        from tasks.split.settings import Settings as Split

        near = Split.parse({"near_duplicates": NEAR}, stage)
        split.run(here / "clean" / "records.parquet", here / stage, near, seed=0)
    else:
        from tasks.validate import stage as validate
        from tasks.validate.settings import CheckName
        from tasks.validate.settings import Settings as Validate

        train, validation, test = (here / "split" / f"{part}.parquet" for part in PARTS)
        # Whatever the made corpus is like, the stage is to end well.
        severity = dict.fromkeys(get_args(CheckName), "warning")
        checks = {"near_duplicates": NEAR, "severity": severity}
        tolerances = Validate.parse(checks, stage)
        validate.run("large", train, validation, test, here / stage, tolerances)


def report(megabytes: int, found: dict[str, Any], limit: float) -> None:
    """Print one size.

    Args:
        megabytes: of text.
        found: by stage, seconds and peaks.
        limit: the megabytes of memory that none may exceed.
    """
    print(f"{megabytes:,} MB of text (the limit is {limit:,.0f} MB of memory)")
    for stage, figures in found.items():
        print(
            f"  {stage:10} {figures['seconds']:8.1f} s {figures['peak_mb']:8,.0f} MB "
            f"({figures['peak_with_files_mb']:,.0f} MB with pages of files)"
        )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
