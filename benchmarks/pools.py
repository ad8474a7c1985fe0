"""Many flows queued at once over two work pools: each stage once, none lost, and how long it takes.

Each flow runs a chain of nine stages of its own, one of them in the pool ``gpu``; all flows are
queued before a worker starts. The stages do nothing, so that what is timed is the machinery: two
workers in two clones, a Prefect server, a DVC remote in a folder and a bare git repository. With
PREFECT_API_URL set, the server is that one, for example one on PostgreSQL.

    python -m benchmarks.pools [--flows 50] [--limit 2] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed

from benchmarks.parallel_run import ROOT, prefect_server

STEPS = (
    "collect", "clean", "split", "validate", "pretrain", "finetune", "evaluate", "register", "card",
)  # fmt: skip
GPU = "pretrain"
LONGEST_SECONDS = 3600.0
ROWS = """
from types import SimpleNamespace

def fingerprints(params):
    return {}

def stage_settings(params, stage, row):
    return SimpleNamespace(num_devices=lambda: 1)
"""
WORK = """
import os, sys
from pathlib import Path

step, row = sys.argv[1:]
with open(os.environ["BENCHMARK_LOG"], "a") as log:
    log.write(f"{step}@{row}\\n")  # shorter than what the kernel appends at once
target = Path(f"data/{step}/{row}.txt")
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(f"{step} {row}")
"""
WHO = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")


def main() -> None:
    """Run all flows, print what became of them, and with ``--json`` one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flows", type=int, default=50)
    parser.add_argument("--limit", type=int, default=2, help="flow runs at once in each pool")
    parser.add_argument("--quick", action="store_true", help="four flows")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    num_flows = 4 if arguments.quick else arguments.flows
    with tempfile.TemporaryDirectory() as folder, ExitStack() as held:
        api = os.environ.get("PREFECT_API_URL") or held.enter_context(prefect_server())
        result = run_flows(Path(folder), api, num_flows, arguments.limit)
    print(
        f"{num_flows} flows, {result['stages']} stages, one in nine in the pool {GPU_POOL}: "
        f"{result['completed']} flows completed, {result['twice']} stages ran twice, "
        f"{result['lost']} were lost; {result['seconds']:.0f} s on {os.cpu_count()} cores"
    )
    if arguments.json:
        good = result["completed"] == num_flows and not result["twice"] and not result["lost"]
        print(json.dumps({"ratio": float(good), **result}))


GPU_POOL = "gpu"


def run_flows(root: Path, api: str, num_flows: int, limit: int) -> dict[str, Any]:
    """Queue flows, start the workers, and wait until all flows have ended.

    Args:
        root: an empty folder.
        api: the address of a Prefect server's API.
        num_flows: how many.
        limit: how many flow runs each worker takes at once.

    Returns:
        What became of flows and stages.
    """
    log = root / "stages.txt"
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "BENCHMARK_LOG": str(log),
        "DOWNSTREAM_ROWS": "rows",
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(root / "home"),
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    origin = publish(root, num_flows)
    clones = {pool: root / pool for pool in ("cpu", GPU_POOL)}
    for pool, clone in clones.items():
        call(root, environment, "git", "clone", "--quiet", str(origin), str(clone))
        prefect(root, environment, "work-pool", "create", pool, "--type", "process")
    prefect(clones["cpu"], environment, "deploy", "--all")
    deployment = ask(f"{api}/deployments/name/train/train")["id"]
    for number in range(num_flows):
        parameters = {"targets": [f"{STEPS[-1]}@row-{number}"], "engine": "pools", "jobs": 1}
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        ask(f"{api}/deployments/{deployment}/create_flow_run", body)
    started = time.monotonic()
    with ExitStack() as held:
        for pool, clone in clones.items():
            held.enter_context(worker(pool, clone, environment, limit))
        states = wait_for_flows(api, deployment, num_flows)
    seconds = time.monotonic() - started
    ran = Counter(log.read_text().split())
    recorded = yaml.safe_load((clones["cpu"] / "dvc.lock").read_text())["stages"]
    wanted = {f"{step}@row-{number}" for step in STEPS for number in range(num_flows)}
    return {
        "flows": num_flows,
        "stages": len(wanted),
        "completed": states["COMPLETED"],
        "twice": sum(count > 1 for count in ran.values()),
        "lost": len(wanted - ran.keys() | wanted - recorded.keys()),
        "seconds": round(seconds, 1),
    }


def publish(root: Path, num_flows: int) -> Path:
    """Return a bare repository of a project in which nothing has run."""
    source = root / "source"
    for package in ("flows", "tasks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    shutil.copy(ROOT / "prefect.yaml", source / "prefect.yaml")
    (source / "rows.py").write_text(ROWS)
    (source / "work.py").write_text(WORK)
    (source / ".gitignore").write_text("/data/\n/.downstream/\n__pycache__\n/mlflow.db\n")
    (source / ".dvcignore").write_text("__pycache__\n")
    chains = {f"row-{number}": {"number": number} for number in range(num_flows)}
    (source / "params.yaml").write_text(yaml.safe_dump({"chains": chains}))
    stages: dict[str, Any] = {}
    for step, before in zip(STEPS, [None, *STEPS], strict=False):
        stages[step] = {
            "foreach": "${chains}",
            "do": {
                "cmd": f"exec python work.py {step} ${{key}}",
                **({"meta": {"gpu": True}} if step == GPU else {}),
                "params": ["chains.${key}.number"],
                "deps": ["work.py", *([f"data/{before}/${{key}}.txt"] if before else [])],
                "outs": [f"data/{step}/${{key}}.txt"],
            },
        }
    (source / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    environment = {**os.environ}
    call(source, environment, "git", "init", "--quiet")
    dvc = (sys.executable, "-m", "dvc")
    call(source, environment, *dvc, "init", "--quiet")
    call(source, environment, *dvc, "remote", "add", "--default", "store", str(root / "remote"))
    call(source, environment, "git", "add", "--all")
    call(source, environment, "git", *WHO, "commit", "--quiet", "--message", "nothing has run")
    call(root, environment, "git", "clone", "--quiet", "--bare", str(source), "origin.git")
    return root / "origin.git"


@contextmanager
def worker(pool: str, clone: Path, environment: dict[str, str], limit: int) -> Iterator[None]:
    """Run a worker for as long as the body takes."""
    command = [sys.executable, "-m", "flows", "worker", pool, "--limit", str(limit)]
    with clone.with_name(f"{pool}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=clone, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(120)


def wait_for_flows(api: str, deployment: str, num_flows: int) -> Counter[str]:
    """Return how many flow runs of a deployment have ended in which type of state."""
    wanted = {"deployments": {"id": {"any_": [deployment]}}}
    until = time.monotonic() + LONGEST_SECONDS
    while True:
        runs = ask(f"{api}/flow_runs/filter", wanted)
        types = Counter(run["state_type"] for run in runs)
        ended = types["COMPLETED"] + types["FAILED"] + types["CRASHED"] + types["CANCELLED"]
        if ended == num_flows or time.monotonic() > until:
            return types
        time.sleep(2)


@retry(
    retry=retry_if_exception(
        lambda error: getattr(error, "code", None) == HTTPStatus.SERVICE_UNAVAILABLE
    ),
    wait=wait_fixed(1),
    stop=stop_after_attempt(60),
    reraise=True,
)
def ask(address: str, body: dict[str, Any] | None = None) -> Any:
    """Ask a Prefect server; over SQLite it answers 503 while something else is written."""
    headers = {"Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=content, headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read())


def prefect(folder: Path, environment: dict[str, str], *arguments: str) -> None:
    """Run Prefect's command line."""
    call(folder, environment, sys.executable, "-m", "prefect", "--no-prompt", *arguments)


def call(folder: Path, environment: dict[str, str], *command: str) -> None:
    """Run a command to its end."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
