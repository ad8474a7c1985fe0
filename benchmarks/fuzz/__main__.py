"""Inputs that were made to break something, ten minutes long: each ends in a result or in a line.

    python -m benchmarks.fuzz [--minutes 10] [--seed SEED] [--only KIND ...] [--workers N]
                              [--cases N] [--case KIND/NUMBER] [--keep FOLDER] [--json]

Valid files and structures are planted, changed (bytes: flipped, cut, repeated, spliced; values:
replaced by what nobody expects), and given to the code that reads them, each in a process of its
own. What must hold: success, or a refusal of one or two lines and fewer than 700 characters;
no traceback, nothing that still runs after 20 s, less than 1.5 GiB of memory, and no half-written
output. A case follows from the seed, its kind and its number, and from the valid files (a store has
ids of its own): ``--seed S --case KIND/NUMBER --keep FOLDER`` repeats it with those of that folder.
Exit code 1 tells that something was wrong; the inputs are kept then.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import cast

# Before anything computes: a process that is forked has one thread.
os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    TOKENIZERS_PARALLELISM="false",
    DO_NOT_TRACK="1",
    DVC_NO_ANALYTICS="1",
    GX_ANALYTICS_ENABLED="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    USE_TORCH="1",
    PIP_NO_INDEX="1",
)
os.environ.pop("MLFLOW_TRACKING_URI", None)

from benchmarks.fuzz import audit, checkpoints, commands, params, pins, requests, sources
from benchmarks.fuzz.cases import Kind, Outcome, generator, run_case

KINDS = {
    kind.name: kind
    for kind in (
        sources.TEXTS,
        sources.IMAGES,
        sources.HUB,
        params.PARAMS,
        pins.PINS,
        checkpoints.CHECKPOINTS,
        requests.REQUESTS,
        audit.LOG,
        audit.REGISTRY,
        commands.COMMANDS,
    )
}
Told = tuple[str, int, Outcome]
"""Kind, number, and what came of it."""
PLANTED = "planted.txt"
"""Beside the valid files: what was printed while they were made."""


def main() -> int:
    """Try inputs for so long, print what was wrong and a table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long inputs are tried")
    parser.add_argument("--seed", type=int, help="what all inputs follow from; by default any")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--case", metavar="KIND/NUMBER", help="repeat one case of the seed")
    parser.add_argument("--cases", type=int, help="so many of each kind, whatever the time")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="cases at a time")
    parser.add_argument("--keep", type=Path, help="folder for inputs with which something is wrong")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    folder = (arguments.keep or Path(tempfile.mkdtemp(prefix="downstream-fuzz-"))).absolute()
    print(f"seed {seed}; inputs with which something is wrong are kept in {folder}", flush=True)
    names = arguments.only
    cases = None if arguments.cases is None else range(arguments.cases)
    if arguments.case:
        name, _, number = arguments.case.partition("/")
        if name not in KINDS or not number.isdecimal():
            parser.error(f"--case: expected one of {', '.join(KINDS)}, '/' and a number")
        names, cases = [name], range(int(number), int(number) + 1)
    kinds = [KINDS[name] for name in names]
    if not arguments.case:
        shutil.rmtree(folder / "planted", ignore_errors=True)  # of an earlier run
    planted = plant(kinds, folder)
    figures: dict[str, Figures] = {kind.name: Figures() for kind in kinds}
    seen: dict[str, int] = {}
    seconds = 60 * arguments.minutes
    for name, case, outcome in fuzz(kinds, planted, seed, seconds, arguments.workers, cases):
        figures[name].add(outcome)
        if arguments.case:
            print(f"{name}/{case}: {outcome.end} after {outcome.seconds:.1f} s: {outcome.text}")
        elif outcome.end == "wrong":
            place = f"{name}: {outcome.place}"
            seen[place] = seen.get(place, 0) + 1
            if seen[place] == 1:
                print(f"\n{name}/{case} ({folder / name / str(case)}): {outcome.text}", flush=True)
    report(figures, seen)
    if arguments.json:
        kinds_told = {name: found.told() for name, found in figures.items()}
        print(json.dumps({"seed": seed, "minutes": arguments.minutes, "kinds": kinds_told}))
    if any(found.wrong for found in figures.values()):
        return 1
    if arguments.keep is None:
        shutil.rmtree(folder)
    return 0


class Figures:
    """What is counted of the cases of one kind."""

    def __init__(self) -> None:
        self.taken = self.refused = self.wrong = 0
        self.longest_seconds = self.most_memory_mb = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count a case."""
        setattr(self, outcome.end, getattr(self, outcome.end) + 1)
        self.longest_seconds = round(max(self.longest_seconds, outcome.seconds), 1)
        self.most_memory_mb = round(max(self.most_memory_mb, outcome.memory_mb))

    def told(self) -> dict[str, float]:
        """Return the figures by name."""
        return {"tried": self.taken + self.refused + self.wrong, **vars(self)}


def report(figures: dict[str, Figures], seen: dict[str, int]) -> None:
    """Print a table of the kinds, and how often each fault was met."""
    for place, count in seen.items():
        if count > 1:
            print(f"\nmet {count} times: {place}")
    columns = ("tried", "taken", "refused", "wrong", "longest_seconds", "most_memory_mb")
    print(f"\n{'kind':14}" + "".join(f"{name:>17}" for name in columns))
    for kind, found in figures.items():
        values = found.told()
        print(f"{kind:14}" + "".join(f"{values[name]:>17,}" for name in columns))
    total = sum(found.told()["tried"] for found in figures.values())
    print(f"{'all':14}{total:>17,}", flush=True)


def plant(kinds: Sequence[Kind], folder: Path) -> dict[str, Path]:
    """Write the valid files of each kind, in processes of their own: this one has not computed yet.

    Those that are there stay: a case is repeated from the very files that it was made from.

    Raises:
        RuntimeError: a kind's files could not be made.
    """
    context = multiprocessing.get_context("fork")
    places: dict[Callable[[Path], None], Path] = {}
    processes = {}
    for kind in kinds:
        if kind.plant in places:
            continue  # several kinds may begin with the same files
        places[kind.plant] = place = folder / "planted" / kind.plant.__module__.rpartition(".")[2]
        if place.exists():
            continue
        place.mkdir(parents=True)
        process = context.Process(target=_plant_quietly, args=(kind.plant, place))
        process.start()
        processes[process] = place
    for process, place in processes.items():
        process.join()
        if process.exitcode:
            said = (place / PLANTED).read_text(errors="replace")
            shutil.rmtree(place)
            raise RuntimeError(f"the valid files of {place.name} could not be made:\n{said}")
    return {kind.name: places[kind.plant] for kind in kinds}


def _plant_quietly(plant: Callable[[Path], None], place: Path) -> None:
    said = os.open(place / PLANTED, os.O_CREAT | os.O_WRONLY, 0o600)
    for stream in (1, 2):
        os.dup2(said, stream)
    plant(place)


def fuzz(
    kinds: Sequence[Kind],
    planted: dict[str, Path],
    seed: int,
    seconds: float,
    num_workers: int = 1,
    cases: Sequence[int] | None = None,
) -> Iterator[Told]:
    """Yield what came of each case.

    Args:
        kinds: what is tried, by turns.
        planted: the valid files of each kind.
        seed: what all cases follow from.
        seconds: how long new cases are begun.
        num_workers: how many cases are tried at a time.
        cases: these numbers of each kind alone, whatever the time.
    """
    for kind in kinds:
        kind.prepare(planted[kind.name])
    # What lives now lives to the end: no child copies it because it is looked at.
    gc.collect()
    gc.freeze()
    ends = time.monotonic() + seconds
    context = multiprocessing.get_context("fork")
    connections = []
    for worker in range(num_workers):
        receiving, sending = context.Pipe(duplex=False)
        turns = _turns(kinds, cases, worker, num_workers)
        process = context.Process(target=_work, args=(turns, planted, seed, ends, sending))
        process.start()
        sending.close()
        connections.append(receiving)
    while connections:
        for ready in wait(connections):
            connection = cast("Connection", ready)
            try:
                told: Told = connection.recv()
            except EOFError:
                connections.remove(connection)
                continue
            yield told


def _turns(
    kinds: Sequence[Kind], cases: Sequence[int] | None, worker: int, num_workers: int
) -> Iterator[tuple[Kind, int]]:
    """Yield the cases of one worker: in each round as many of a kind as its share, for ever."""
    if cases is not None:
        every = [(kind, number) for kind in kinds for number in cases]
        yield from every[worker::num_workers]
        return
    numbers = dict.fromkeys((kind.name for kind in kinds), worker)
    while True:
        for kind in kinds:
            for _ in range(kind.share):
                yield kind, numbers[kind.name]
                numbers[kind.name] += num_workers


def _work(
    turns: Iterator[tuple[Kind, int]],
    planted: dict[str, Path],
    seed: int,
    ends: float,
    sending: Connection,
) -> None:
    for kind, number in turns:
        if time.monotonic() > ends:
            break
        place = planted[kind.name]
        folder = place.parents[1] / kind.name / str(number)
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier run
        outcome = run_case(kind, place, folder, generator(seed, kind.name, number))
        sending.send((kind.name, number, outcome))
    sending.close()


if __name__ == "__main__":
    sys.exit(main())
