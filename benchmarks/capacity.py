"""How far one workspace goes, on paper: hours, money and the first limit, from measurements.

Measured on this machine, each at growing size, so that what grows is seen:

- the control plane: seconds that a run spends on each stage besides its work, and the processor's
  time of Prefect's server for it (SQLite, or ``--database`` for PostgreSQL);
- ``dvc.lock``: writing it; ``downstream plan`` of as many stages; how long a stage's process takes
  to begin among them, which reads all of ``dvc.yaml`` and ``dvc.lock``;
- the DVC remote: looking for a result among others, found or not (a folder stands for it);
- the data stages: seconds of a core, memory and disk for a megabyte of text.

No GPU is measured: what one does comes from its peak and a utilisation, which are arguments. A
simulator then gives the stages of a project to the scheduler that a run uses, on as many GPUs.

    python -m benchmarks.capacity [--quick] [--json] [--gpu-hour 3.0] [--database URL]
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]

from benchmarks import data_memory, parallel_run, plan_speed
from flows.dvc.internals import hash_of_entry
from flows.dvc.lockfile import BATCH_SECONDS, HEAD, drop_entries
from flows.run.schedule import Schedule
from flows.sharing.remote import Remote
from tasks.contracts.lock import LOCK
from tasks.stage_process.stage_hash import entry_hash

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = (8, 1_000, 100_000)
GPUS = (1, 8, 64, 1_000)
TERABYTE_MB = 1_000_000
BYTES_A_TOKEN, TOKEN_BYTES = 4.0, 2
FLOPS_A_TOKEN_AND_PARAMETER = 6
"""Forward and backward pass (Kaplan et al., 2020)."""
KINDS = ("collect", "clean", "split", "validate", "pretrain", "finetune", "evaluate", "register")
ON_GPU = {"pretrain", "finetune", "evaluate"}
PLAN = "downstream plan"
BEGIN = """
import sys
import tasks.models.architectures.bert, tasks.training.loop
from tasks.stage_process.identity import require_right_records
from tasks.stage_process.stage_hash import read_inputs

require_right_records(read_inputs(sys.argv[1]))
"""
OUTPUT = "data/clean/c.txt"
ENTRY = """  {name}:
    cmd: exec python -m tasks.clean {name}
    deps:
    - path: data/collect/{name}/records.parquet
      hash: md5
      md5: {md5}
      size: 123456
    params:
      params.yaml:
        corpora.{name}.clean:
          near_duplicates:
            similarity: 0.8
    outs:
    - path: data/clean/{name}
      hash: md5
      md5: {md5}.dir
      size: 123456
      nfiles: 3
"""


@dataclass(frozen=True)
class Sizes:
    """How large each measurement is made."""

    stages: tuple[int, ...] = (100, 500)
    lock: tuple[int, ...] = (1_000, 10_000, 100_000)
    plan: tuple[int, ...] = (30, 450, 2_310)
    results: tuple[int, ...] = (100, 100_000)
    megabytes: tuple[int, ...] = (50, 200)


QUICK = Sizes((10, 60), (100, 1_000), (30,), (10, 100), (2, 4))


@dataclass(frozen=True)
class Assumed:
    """What nothing here can measure."""

    peak_flops: float = 989e12
    """Of one GPU in bf16: an H100 or H200, as its maker says."""
    utilisation: float = 0.4
    scaling: float = 0.9
    """What is left of each GPU's speed where several train one model."""
    gpu_hour: float = 3.0
    """Dollars."""
    cores_of_gpu: int = 8
    """Cores that come with each GPU, for the data stages."""
    bert_parameters: float = 110e6
    gpt_parameters: float = 1e9
    corpus_mb: float = 100.0
    """Text of each corpus of a project of many stages."""
    epochs: int = 10
    finetuned_records: int = 50_000
    tokens_of_record: int = 128

    def training_seconds(self, parameters: float, tokens: float, gpus: int = 1) -> float:
        """Return how long a training takes."""
        rate = self.peak_flops * self.utilisation * (self.scaling * gpus if gpus > 1 else 1)
        return FLOPS_A_TOKEN_AND_PARAMETER * parameters * tokens / rate


class DataCost(NamedTuple):
    """What the data stages take for a megabyte of text, and to begin with."""

    core_seconds_of_mb: dict[str, float]
    disk_of_byte: float
    peak_mb: dict[int, float]
    """The largest of them, by megabytes of text."""


@dataclass(frozen=True)
class Measured:
    """What is known of this machine."""

    stage_seconds: float
    """Of a run, for each stage besides its work."""
    server_seconds: float
    """Of Prefect's server's processor, for each stage."""
    lock_write: dict[int, float]
    plan: dict[int, float]
    stage_start: dict[int, float]
    """Until a stage's process knows its inputs, and has imported what a training needs."""
    remote_hit: dict[int, float]
    remote_miss: dict[int, float]
    data: DataCost


def main() -> None:
    """Measure, simulate, print tables, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, a minute")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--gpu-hour", type=float, default=Assumed.gpu_hour, help="its price")
    parser.add_argument("--utilisation", type=float, default=Assumed.utilisation)
    parser.add_argument("--database", help="of Prefect's server: postgresql+asyncpg://...")
    arguments = parser.parse_args()
    assumed = Assumed(gpu_hour=arguments.gpu_hour, utilisation=arguments.utilisation)
    measured = measure(QUICK if arguments.quick else Sizes(), arguments.database)
    print_measured(measured)
    projects = [simulate(measured, assumed, stages, gpus) for stages in PROJECTS for gpus in GPUS]
    print_projects(projects, assumed)
    terabyte = [one_terabyte(measured, assumed, gpus) for gpus in GPUS]
    print_terabyte(terabyte, measured, assumed)
    limits = first_limits(measured, max(PROJECTS))
    print_limits(limits)
    if arguments.json:
        figures = {
            "measured": {**asdict(measured), "data": measured.data._asdict()},
            "projects": [project._asdict() for project in projects],
            "terabyte": [row._asdict() for row in terabyte],
            "limits": limits,
        }
        print(json.dumps(figures))


# --- what is measured -----------------------------------------------------------------------------


def measure(sizes: Sizes, database: str | None) -> Measured:
    """Measure all of it, one thing after the other."""
    stage_seconds, server_seconds = control_plane(sizes.stages, database)
    projects = {size: project_seconds(size) for size in sizes.plan}
    remote = {size: remote_seconds(size) for size in sizes.results}
    return Measured(
        stage_seconds,
        server_seconds,
        {size: lock_seconds(size) for size in sizes.lock},
        {size: plan for size, (plan, _) in projects.items()},
        {size: start for size, (_, start) in projects.items()},
        {size: hit for size, (hit, _) in remote.items()},
        {size: miss for size, (_, miss) in remote.items()},
        data_cost(sizes.megabytes),
    )


def control_plane(sizes: tuple[int, ...], database: str | None) -> tuple[float, float]:
    """Return seconds of a run and of its server's processor for each further stage.

    The stages start Python and write a line; they are independent, eight at once.
    """
    if database:
        os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = database
    seconds, server = [], []
    with parallel_run.prefect_server() as api:
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                parallel_run.make_chains(Path(folder), size, parallel_run.STEPS[:1], rounds=1)
                before = processor_of_port(api)
                run = [*parallel_run.RUN, "--jobs", "8"]
                seconds.append(parallel_run.timed(Path(folder), run, api))
                server.append(processor_of_port(api) - before)
    return of_each(dict(zip(sizes, seconds, strict=True))), of_each(
        dict(zip(sizes, server, strict=True))
    )


def of_each(totals: Mapping[int, float]) -> float:
    """Return what each further one of something takes; where that drowns in noise, each one."""
    (small, first), (large, last) = min(totals.items()), max(totals.items())
    return max((last - first) / (large - small), 0.1 * last / large)


def processor_of_port(address: str) -> float:
    """Return the processor's seconds of the process that listens at an address."""
    port = urlsplit(address).port
    listening = {
        connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }
    times = [psutil.Process(pid).cpu_times() for pid in listening if pid]
    return sum(each.user + each.system for each in times)


def lock_seconds(num_entries: int) -> float:
    """Return how long it takes to read a ``dvc.lock`` of so many entries and write it anew."""
    with working_in_new_folder():
        names = [f"clean@c{number}" for number in range(num_entries)]
        entries = (ENTRY.format(name=name, md5=f"{at:032x}") for at, name in enumerate(names))
        LOCK.write_text(HEAD + "".join(entries))
        started = time.perf_counter()
        drop_entries(names[:1])
        return time.perf_counter() - started


def project_seconds(num_stages: int) -> tuple[float, float]:
    """Return how long a plan of about so many fresh stages takes, and one stage's process to begin.

    The stage is in the middle of a chain. Its process imports what a training needs.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plan_speed.make_project(root, num_stages)
        plan = plan_speed.compare(root, 1, {PLAN: plan_speed.COMMANDS[PLAN]})[PLAN].seconds
        started = time.perf_counter()
        plan_speed.run(root, [sys.executable, "-c", BEGIN, "finetune@digits-few-labels-0-0"])
        return plan, time.perf_counter() - started


def remote_seconds(num_results: int) -> tuple[float, float]:
    """Return how long fetching a result takes that is among so many, and one that is not there.

    The remote is a folder: what a server would add to each of a hit's four requests (the list of
    its entries, the entry, the output, the library versions) and a miss's one is its latency.
    """
    with working_in_new_folder() as folder:
        dvc = [sys.executable, "-m", "dvc"]
        where = ["remote", "add", "-q", "-d", "shared", str(folder / "remote")]
        for command in (["git", "init", "-q"], [*dvc, "init", "-q"], [*dvc, *where]):
            subprocess.run(command, check=True)
        results = [_make_result(folder / "remote", number) for number in range(num_results)]
        remote = Remote()
        hits = [_timed(remote, stage_hash) for stage_hash in results[:: max(1, num_results // 20)]]
        misses = [
            _timed(remote, hashlib.sha256(b"%d" % number).hexdigest()) for number in range(20)
        ]
        remote.close()
    if not all(found for _, found in hits) or any(found for _, found in misses):
        sys.exit("the remote gave back another result than it was given")
    return statistics.median(took for took, _ in hits), statistics.median(
        took for took, _ in misses
    )


def _timed(remote: Remote, stage_hash: str) -> tuple[float, bool]:
    started = time.perf_counter()
    found = remote.fetch("clean@c", stage_hash, [OUTPUT], {})
    return time.perf_counter() - started, found


def _make_result(remote: Path, number: int) -> str:
    """Put a result where ``downstream run --push`` would; return its stage hash."""
    content = f"output {number}\n".encode()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    entry = {"cmd": f"exec python -m tasks.clean {number}", "outs": [{"path": OUTPUT, "md5": md5}]}
    stage_hash = entry_hash(entry)
    run = remote / "runs" / stage_hash[:2] / stage_hash / hash_of_entry(entry)
    output = remote / "files" / "md5" / md5[:2] / md5[2:]
    for path, text in ((output, content), (run, json.dumps(entry).encode())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return stage_hash


def data_cost(sizes: tuple[int, ...]) -> DataCost:
    """Return what collect, clean, split and validate take, the last three with near-duplicates."""
    seconds: dict[int, dict[str, float]] = {}
    peaks: dict[int, float] = {}
    with tempfile.TemporaryDirectory(prefix="capacity-") as name:
        texts = data_memory.real_texts(Path(name))
        for size in sizes:
            folder = Path(name) / str(size)
            source = folder / "sources" / "all.parquet"
            data_memory.write_source(source, texts, size * 1_000_000)
            found = {stage: data_memory.in_own_process(stage, folder) for stage in KINDS[:4]}
            seconds[size] = {stage: figures["seconds"] for stage, figures in found.items()}
            peaks[size] = max(figures["peak_mb"] for figures in found.values())
            on_disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    small, large = sizes[0], sizes[-1]
    cores = min(os.cpu_count() or 1, 2)
    slopes = {
        stage: max(0.0, seconds[large][stage] - seconds[small][stage]) * cores / (large - small)
        for stage in KINDS[:4]
    }
    return DataCost(slopes, on_disk / (large * 1e6), peaks)


@contextmanager
def working_in_new_folder() -> Iterator[Path]:
    """Let the current directory be a new, empty folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        try:
            yield Path(name)
        finally:
            os.chdir(before)


# --- what is simulated ----------------------------------------------------------------------------


class Project(NamedTuple):
    """One project on one number of GPUs."""

    stages: int
    gpus: int
    hours: float
    gpu_hours: float
    dollars: float
    busy: float
    """Share of the GPUs' time in which they work."""
    control: float
    """Share of the time in which the run itself works: at 1 it is the limit."""


class Terabyte(NamedTuple):
    """One causal model pretrained on a terabyte of text."""

    gpus: int
    data_hours: float
    training_hours: float
    dollars: float


def simulate(measured: Measured, assumed: Assumed, num_stages: int, gpus: int) -> Project:
    """Give the stages of a project to the scheduler of a run, and add up its time.

    A project is of units of eight stages: a corpus, a BERT pretrained on it, one finetuned from it.
    The run begins one stage after the other; each stage then works on its own.
    """
    work = seconds_of_stages(measured, assumed, num_stages)
    order: list[str] = []
    upstream: dict[str, tuple[str, ...]] = {}
    seconds: dict[str, float] = {}
    for unit in range(num_stages // len(KINDS)):
        names = [f"{kind}@{unit}" for kind in KINDS]
        order += names
        upstream |= {names[0]: ()} | {later: (name,) for name, later in pairwise(names)}
        seconds |= {name: work[kind] for name, kind in zip(names, KINDS, strict=True)}
    on_gpu = {name: 1 for name in order if name.partition("@")[0] in ON_GPU}
    schedule = Schedule(order, upstream, on_gpu, gpus * assumed.cores_of_gpu, gpus)
    of_stage = run_seconds(measured, num_stages)
    now = run_free = straight_line(measured.plan, num_stages)
    running: list[tuple[float, str]] = []
    while True:
        while name := schedule.start_next():
            run_free = max(now, run_free) + of_stage
            heapq.heappush(running, (run_free + seconds[name], name))
        if not running:
            break
        now, name = heapq.heappop(running)
        schedule.finish(name)
    gpu_hours = sum(seconds[name] for name in on_gpu) / 3600
    hours = now / 3600
    return Project(
        len(order),
        gpus,
        hours,
        gpu_hours,
        hours * gpus * assumed.gpu_hour,
        gpu_hours / (hours * gpus),
        len(order) * of_stage / now,
    )


def seconds_of_stages(measured: Measured, assumed: Assumed, num_stages: int) -> dict[str, float]:
    """Return how long each kind of stage works in a project of so many."""
    tokens = assumed.corpus_mb * 1e6 / BYTES_A_TOKEN * assumed.epochs
    finetuned = assumed.finetuned_records * assumed.tokens_of_record
    work = {kind: measured.data.core_seconds_of_mb[kind] * assumed.corpus_mb for kind in KINDS[:4]}
    work["pretrain"] = assumed.training_seconds(assumed.bert_parameters, tokens)
    # The model and its twin, three epochs each; both are then evaluated: a third of a step's work.
    work["finetune"] = 2 * assumed.training_seconds(assumed.bert_parameters, 3 * finetuned)
    work["evaluate"] = 2 * assumed.training_seconds(assumed.bert_parameters, finetuned / 3)
    work["register"] = 0.0
    start = straight_line(measured.stage_start, num_stages)
    return {kind: start + seconds for kind, seconds in work.items()}


def run_seconds(measured: Measured, num_stages: int) -> float:
    """Return what a run spends on each of so many stages; ``dvc.lock`` is written in batches."""
    written = straight_line(measured.lock_write, num_stages)
    return measured.stage_seconds * (1 + min(0.1, written / BATCH_SECONDS))


def one_terabyte(measured: Measured, assumed: Assumed, gpus: int) -> Terabyte:
    """Return what a terabyte of text takes, from its collection to a pretrained model."""
    of_mb = sum(measured.data.core_seconds_of_mb.values())
    data_hours = of_mb * TERABYTE_MB / (gpus * assumed.cores_of_gpu) / 3600
    tokens = TERABYTE_MB * 1e6 / BYTES_A_TOKEN
    training = assumed.training_seconds(assumed.gpt_parameters, tokens, gpus) / 3600
    return Terabyte(gpus, data_hours, training, (data_hours + training) * gpus * assumed.gpu_hour)


def first_limits(measured: Measured, num_stages: int) -> dict[str, float]:
    """Return how many stages an hour each shared thing bears, the first limit first.

    The start of a stage's process is shared by none, but takes a core for as long: of eight.
    """
    limits = {
        "the run itself": 3600 / run_seconds(measured, num_stages),
        "Prefect's server, one process": 3600 / max(measured.server_seconds, 1e-9),
        "the remote, a result fetched for each": 3600
        / straight_line(measured.remote_hit, num_stages),
        "`dvc.lock`, were it written for each stage": 3600
        / straight_line(measured.lock_write, num_stages),
        "stages' processes that begin, eight at once": 8
        * 3600
        / straight_line(measured.stage_start, num_stages),
    }
    return dict(sorted(limits.items(), key=lambda item: item[1]))


def straight_line(points: Mapping[int, float], at: float) -> float:
    """Return what a straight line through the two largest points has at another; never less."""
    if len(points) == 1:
        return next(iter(points.values()))
    (x0, y0), (x1, y1) = sorted(points.items())[-2:]
    if at <= x1:
        return max(y for x, y in points.items() if x <= max(at, min(points)))
    return y1 + max(0.0, y1 - y0) / (x1 - x0) * (at - x1)


# --- what is printed ------------------------------------------------------------------------------


def print_measured(measured: Measured) -> None:
    """Print what was measured, each thing with the sizes at which it was."""
    print("Measured here\n\n| | |\n|---|---|")
    rows = {
        "a run, for each stage besides its work": _ms(measured.stage_seconds),
        "Prefect's server for it, processor": _ms(measured.server_seconds),
        "`dvc.lock` rewritten": _by_size(measured.lock_write, "stages"),
        "`downstream plan`, all fresh": _by_size(measured.plan, "stages"),
        "a result fetched from the remote": _by_size(measured.remote_hit, "results"),
        "one that it does not have": _by_size(measured.remote_miss, "results"),
        "a training's process begins": _by_size(measured.stage_start, "stages"),
        "data stages, a core, for a megabyte": ", ".join(
            f"{stage} {seconds:.2f} s"
            for stage, seconds in measured.data.core_seconds_of_mb.items()
        ),
        "their memory": ", ".join(
            f"{mb:,.0f} MB ({size:,} MB of text)" for size, mb in measured.data.peak_mb.items()
        ),
        "disk for a byte of text": f"{measured.data.disk_of_byte:.1f} bytes",
    }
    for what, figure in rows.items():
        print(f"| {what} | {figure} |")


def print_projects(projects: list[Project], assumed: Assumed) -> None:
    """Print what projects of many stages take."""
    print(
        f"\nProjects of a corpus of {assumed.corpus_mb:,.0f} MB, a BERT of "
        f"{assumed.bert_parameters / 1e6:,.0f} M parameters and a model, over and over; GPUs of "
        f"{assumed.peak_flops / 1e12:,.0f} TFLOPS at {assumed.utilisation:.0%}, "
        f"{assumed.gpu_hour:.2f} dollars an hour, {assumed.cores_of_gpu} cores each (assumed)\n\n"
        "| stages | GPUs | hours | GPU hours | dollars | GPUs busy | the run busy |\n"
        "|---|---|---|---|---|---|---|"
    )
    for row in projects:
        print(
            f"| {row.stages:,} | {row.gpus:,} | {row.hours:,.1f} | {row.gpu_hours:,.1f} | "
            f"{row.dollars:,.0f} | {row.busy:.1%} | {row.control:.1%} |"
        )


def print_terabyte(rows: list[Terabyte], measured: Measured, assumed: Assumed) -> None:
    """Print what a terabyte of text takes."""
    print(
        f"\nA terabyte of text and a GPT of {assumed.gpt_parameters / 1e9:.0f} B parameters; "
        f"{assumed.scaling:.0%} of each GPU's speed where several train one model (assumed)\n\n"
        "| GPUs | hours of the data stages | of pretraining | dollars |\n|---|---|---|---|"
    )
    for row in rows:
        print(
            f"| {row.gpus:,} | {row.data_hours:,.1f} | {row.training_hours:,.1f} | "
            f"{row.dollars:,.0f} |"
        )
    disk = measured.data.disk_of_byte + TOKEN_BYTES / BYTES_A_TOKEN
    memory = straight_line(dict(measured.data.peak_mb), TERABYTE_MB)
    print(
        f"\nIt takes {disk:.1f} TB of disk, DVC's links counted once, and by a straight line "
        f"{memory / 1000:,.0f} GB of memory in the largest of the data stages."
    )


def print_limits(limits: dict[str, float]) -> None:
    """Print how many stages an hour each thing bears that all of them share."""
    print(f"\nThe first limit, at {max(PROJECTS):,} stages\n\n| | stages an hour |\n|---|---|")
    for what, stages in limits.items():
        print(f"| {what} | {stages:,.0f} |")


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def _by_size(points: Mapping[int, float], of: str) -> str:
    return ", ".join(f"{_short(seconds)} ({size:,} {of})" for size, seconds in points.items())


def _short(seconds: float) -> str:
    return _ms(seconds) if seconds < 0.1 else f"{seconds:.2f} s"


if __name__ == "__main__":
    main()
