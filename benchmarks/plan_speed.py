"""Seconds of ``downstream plan`` beside those of ``dvc status``, in projects of growing size.

A project has 30, 120 or 450 stages, made by rows in ``params.yaml`` alone: the rows of this
repository's own ``params.yaml``, repeated under other names. Their outputs are small files,
recorded through DVC as if the stages had run, so that both commands find everything fresh. The two
are timed in turns, as processes, as a user starts them.

    python -m benchmarks.plan_speed [--quick] [--large] [--json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from flows.dvc.contents import content_on_disk
from flows.dvc.graph import CODE, load_graph
from flows.dvc.internals import dvc_stages, open_repo
from flows.dvc.params import ParameterFiles
from tasks.contracts.lock import LOCK
from tasks.contracts.params import read_params

ROOT = Path(__file__).resolve().parents[1]
SIZES = (30, 120, 450)
STAGES_PER_UNIT = 30
"""Of 4 corpora with four stages, 2 backbones with one, 4 models with three."""
KINDS = (
    ("reuters", "reuters-bert", "reuters-topics"),
    ("digits", "digits-contrastive", "digits-few-labels"),
)
ROUNDS = 5
COMMANDS = {
    "downstream plan": [sys.executable, "-m", "flows", "plan"],
    "dvc status": [sys.executable, "-m", "dvc", "status"],
}


ALONE = {
    "downstream plan": COMMANDS["downstream plan"],
    "downstream run": [sys.executable, "-m", "flows", "run"],
}
LARGE_SIZES = (2_310, 11_550)
"""With the stages of ``register``, which are left out: a run asks the registry for its versions."""


class Cost(NamedTuple):
    """What one call of a command took; the processor's time tells where others disturbed."""

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Time both, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="30 and 120 stages, two rounds")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument(
        "--large", action="store_true", help="2,002 and 10,010 stages, plan and run alone"
    )
    arguments = parser.parse_args()
    if arguments.large:
        report_large(as_json=arguments.json)
        return
    sizes, rounds = (SIZES[:2], 2) if arguments.quick else (SIZES, ROUNDS)
    medians: dict[int, dict[str, Cost]] = {}
    for num_stages in sizes:
        with tempfile.TemporaryDirectory() as folder:
            make_project(Path(folder), num_stages)
            medians[num_stages] = compare(Path(folder), rounds)
    report(medians, as_json=arguments.json)


def report(medians: dict[int, dict[str, Cost]], *, as_json: bool) -> None:
    """Print the medians and their ratios."""
    ours, peer = COMMANDS
    ratios = {
        size: round(found[peer].seconds / found[ours].seconds, 2) for size, found in medians.items()
    }
    print(f"{'stages':>8}{ours + ' (s, cpu s)':>28}{peer + ' (s, cpu s)':>24}{'faster by':>12}")
    for size, found in medians.items():
        print(
            f"{size:8}{found[ours].seconds:19.2f}{found[ours].cpu_seconds:9.2f}"
            f"{found[peer].seconds:15.2f}{found[peer].cpu_seconds:9.2f}{ratios[size]:11.1f}x"
        )
    if as_json:
        figures = {
            size: {name: cost._asdict() for name, cost in found.items()}
            for size, found in medians.items()
        }
        print(json.dumps({"ratio": ratios[max(ratios)], "ratios": ratios, "stages": figures}))


def report_large(*, as_json: bool) -> None:
    """Time a plan and a run with nothing to do where ``dvc status`` would take minutes."""
    found: dict[int, dict[str, Cost]] = {}
    for num_stages in LARGE_SIZES:
        with tempfile.TemporaryDirectory() as folder:
            make_project(Path(folder), num_stages)
            found[num_stages] = compare(Path(folder), 2, ALONE)
    print(f"{'stages':>8}{'plan (s, cpu s)':>28}{'run (s, cpu s)':>24}")
    for size, costs in found.items():
        cells = (f"{cost.seconds:15.2f}{cost.cpu_seconds:9.2f}" for cost in costs.values())
        print(f"{_without_register(size):8}    {''.join(cells)}")
    if as_json:
        figures = {
            _without_register(size): {name: cost._asdict() for name, cost in costs.items()}
            for size, costs in found.items()
        }
        print(json.dumps({"ratio": None, "stages": figures}))


def _without_register(num_stages: int) -> int:
    return num_stages * (STAGES_PER_UNIT - 4) // STAGES_PER_UNIT


def compare(
    root: Path, rounds: int, commands: Mapping[str, list[str]] = COMMANDS
) -> dict[str, Cost]:
    """Return the median cost of each command; all must find everything fresh."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            started, cpu_before = time.perf_counter(), _cpu_of_children()
            out = run(root, command)
            cost = Cost(time.perf_counter() - started, _cpu_of_children() - cpu_before)
            # The first round warms up the disk's cache and Python's bytecode.
            if number:
                costs[name].append(cost)
            if not any(text in out for text in ("are fresh", "up to date", "Nothing to do")):
                sys.exit(f"{name} found a change in a project that has none:\n{out}")
    return {
        name: Cost(*(round(statistics.median(column), 3) for column in zip(*found, strict=True)))
        for name, found in costs.items()
    }


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(root: Path, command: list[str]) -> str:
    """Run a command in a project; return what it prints."""
    dropped = {"PYTHONPATH", "PYTHONSAFEPATH"}
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    return subprocess.run(
        command, cwd=root, env=environment, check=True, capture_output=True, text=True
    ).stdout


def make_project(root: Path, num_stages: int) -> None:
    """Lay a project whose stages are all recorded and fresh.

    Args:
        root: an empty folder.
        num_stages: how many stages, a multiple of 30; the stage ``code`` comes on top.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("flows", "tasks"):
        shutil.copytree(ROOT / folder, root / folder, ignore=ignored)
    for file in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / file, root / file)
    if num_stages > max(SIZES):
        text = (root / "dvc.yaml").read_text()
        (root / "dvc.yaml").write_text(text[: text.index("  register:\n")])
    params = repeated_params(num_stages // STAGES_PER_UNIT)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for corpus in params["corpora"]:
        (root / "data" / "sources" / corpus).mkdir(parents=True)
        (root / "data" / "sources" / corpus / "pin.json").write_text("{}\n")
    run(root, ["git", "init", "--quiet"])
    run(root, [sys.executable, "-m", "dvc", "init", "--quiet"])
    shutil.copy(ROOT / ".dvc" / "config", root / ".dvc" / "config")
    run(root, [sys.executable, "-m", "tasks.code"])
    # DVC works on the current directory, so this is a process of its own.
    how = "record" if num_stages <= max(SIZES) else "record_quickly"
    run(root, [sys.executable, "-c", RECORD.format(root=str(ROOT), how=how)])


RECORD = "import sys; sys.path.append({root!r}); from benchmarks.plan_speed import {how}; {how}()"


def repeated_params(num_units: int) -> dict[str, Any]:
    """Return rows of this repository's own ``params.yaml``, repeated under other names."""
    own = read_params(ROOT / "params.yaml")
    params: dict[str, Any] = {**own, "corpora": {}, "backbones": {}, "models": {}}
    for unit in range(num_units):
        for corpus, backbone, model in KINDS:
            params["backbones"][f"{backbone}-{unit}"] = {
                **own["backbones"][backbone],
                "corpus": f"{corpus}-{unit}-0",
            }
            for number in range(2):
                name = f"{corpus}-{unit}-{number}"
                params["corpora"][name] = own["corpora"][corpus]
                references = {"backbone": f"{backbone}-{unit}", "corpus": name}
                params["models"][f"{model}-{unit}-{number}"] = {
                    **own["models"][model],
                    **references,
                }
    return params


def record() -> None:
    """Make small outputs for all stages of the current directory, and record them through DVC.

    ``dvc.lock`` is written once, not once a stage, which would take minutes at 450 stages.
    """
    from dvc.dvcfile import Lockfile

    repo = open_repo()
    stages = list(dvc_stages(repo).values())
    ParameterFiles(repo).serve(stages)
    with repo.lock:
        for stage in stages:
            if stage.name != CODE:
                make_outputs(stage)
            stage.save()
            stage.commit()
        Lockfile(repo, "dvc.lock").dump_stages(stages)


def record_quickly() -> None:
    """Do what ``record`` does without DVC's stage objects, which take minutes at 2,000 stages.

    The cache and ``dvc.lock`` hold what DVC would have written: a plan finds everything fresh.
    """
    graph = load_graph()
    parameters = ParameterFiles(graph.repo)
    entries: dict[str, dict[str, Any]] = {}
    for name, stage in graph.stages.items():
        for out in stage.outputs:
            if name != CODE:
                make_output(name, out.path)
            into_cache(Path(out.path))
        params = parameters.of(stage)
        entries[name] = {
            "cmd": stage.command,
            "deps": [_recorded(graph.repo, path) for path in sorted(stage.dependencies)],
            **({"params": params} if params else {}),
            "outs": [_recorded(graph.repo, path) for path in sorted(o.path for o in stage.outputs)],
        }
    lock = {"schema": "2.0", "stages": entries}
    LOCK.write_text(yaml.dump(lock, sort_keys=False, Dumper=yaml.CSafeDumper))


def _recorded(repo: Any, path: str) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": content_on_disk(repo, path).md5}


def into_cache(path: Path) -> str:
    """Put a file, or a folder with all that is in it, into DVC's cache; return its hash."""
    if path.is_dir():
        inside = sorted(item for item in path.rglob("*") if item.is_file())
        listed = [
            {"md5": into_cache(item), "relpath": item.relative_to(path).as_posix()}
            for item in inside
        ]
        content = json.dumps(listed, sort_keys=True).encode()
        suffix = ".dir"
    else:
        content, suffix = path.read_bytes(), ""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    cached = Path(".dvc/cache/files/md5", md5[:2], f"{md5[2:]}{suffix}")
    cached.parent.mkdir(parents=True, exist_ok=True)
    if not cached.exists():
        cached.write_bytes(content)
        cached.chmod(0o444)
    return md5


def make_outputs(stage: Any) -> None:
    """Write a small file for each output of a stage, of a content of its own."""
    for out in stage.outs:
        make_output(stage.name, out.def_path)


def make_output(stage: str, path: str) -> None:
    """Write one of them: a file, or a folder with one in it."""
    file = Path(path) if Path(path).suffix else Path(path) / "content"
    file.parent.mkdir(parents=True, exist_ok=True)
    metrics = {"accuracy": 0.9, "intervals": {"accuracy": [0.8, 1.0]}, "baselines": {}}
    is_metrics = file.name == "metrics.json"
    text = json.dumps({**metrics, "stage": stage}) if is_metrics else f"{stage} {path}"
    file.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
