"""``downstream run`` beside ``dvc repro``: side by side, with nothing to do, and its own records.

- Eight independent chains of CPU stages, some seconds of real work each, on all cores.
- A project of 30 and one of 450 stages with nothing to do, beside ``downstream plan`` too.
- 450 finished stages recorded in ``dvc.lock``, without the time of the stages themselves.

A Prefect server is started beforehand and not counted.

    python -m benchmarks.parallel_run [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
NUM_CHAINS, STEPS = 8, ("first", "second")
REPRO = [sys.executable, "-m", "dvc", "repro"]
RUN = [sys.executable, "-m", "flows", "run"]
PLAN = [sys.executable, "-m", "flows", "plan"]

# A fixed amount of work, so that it takes longer where it shares a core.
WORK = """
import hashlib, sys
from pathlib import Path

step, chain, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
content = f"{step} {chain}".encode()
for _ in range(rounds):
    content = hashlib.sha256(content).digest()
target = Path(f"data/{step}/{chain}.txt")
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(content.hex())
"""

RECORD = """
import time
from pathlib import Path
from flows.dvc.graph import load_graph
from flows.dvc.recorder import Recorder

recorder = Recorder()
seconds = 0.0
for name, stage in load_graph().stages.items():
    started = time.perf_counter()
    job = recorder.begin(name)
    seconds += time.perf_counter() - started
    for out in stage.outputs:
        Path(out.path).parent.mkdir(parents=True, exist_ok=True)
        Path(out.path).write_text(name)
    started = time.perf_counter()
    recorder.end(job, succeeded=True)
    seconds += time.perf_counter() - started
print(seconds)
"""


def main() -> None:
    """Time all of it, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter stages, 30 stages alone")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    rounds = 2_000_000 if arguments.quick else 12_000_000
    sizes = (30,) if arguments.quick else (30, 450)
    with prefect_server() as api:
        chains = time_chains(api, rounds)
        idle = {size: time_nothing_to_do(api, size) for size in sizes}
    num_recorded = 60 if arguments.quick else 450
    recording = time_recording(num_recorded)
    report(chains, idle, recording, num_recorded)
    if arguments.json:
        ratio = round(chains["dvc repro"] / chains["downstream run"], 3)
        raw = {"chains": chains, "nothing_to_do": idle, "recording_seconds": recording}
        print(json.dumps({"ratio": ratio, **raw, "stages_recorded": num_recorded}))


def report(
    chains: dict[str, float], idle: dict[int, dict[str, float]], recording: float, num: int
) -> None:
    """Print what was timed, in seconds."""
    faster = chains["dvc repro"] / chains["downstream run"]
    print(f"{NUM_CHAINS} chains on {os.cpu_count()} cores: {_row(chains)}; {faster:.2f}x as fast")
    for size, seconds in idle.items():
        print(f"nothing to do at {size} stages: {_row(seconds)}")
    print(f"recording {num} finished stages: {recording:.1f} s")


def _row(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {taken:.1f} s" for name, taken in seconds.items())


def time_chains(api: str, rounds: int) -> dict[str, float]:
    """Run the chains both ways, each in a project of its own."""
    seconds = {}
    locks = []
    for name, command in (("dvc repro", REPRO), ("downstream run", RUN)):
        with tempfile.TemporaryDirectory() as folder:
            make_chains(Path(folder), NUM_CHAINS, STEPS, rounds)
            seconds[name] = timed(Path(folder), command, api)
            locks.append(yaml.safe_load((Path(folder) / "dvc.lock").read_text()))
    if locks[0] != locks[1]:
        sys.exit("the two have written different locks")
    return seconds


def time_nothing_to_do(api: str, num_stages: int) -> dict[str, float]:
    """Time plan, run and repro in a project in which everything is fresh."""
    commands = {"downstream plan": PLAN, "downstream run": RUN, "dvc repro": REPRO}
    with tempfile.TemporaryDirectory() as folder:
        make_chains(Path(folder), num_stages, STEPS[:1], rounds=1)
        output_of(Path(folder), [sys.executable, "-c", RECORD], api="")
        timed(Path(folder), PLAN, api)  # fills the disk's cache
        return {name: timed(Path(folder), command, api) for name, command in commands.items()}


def time_recording(num_stages: int) -> float:
    """Return the seconds that recording as many finished stages costs in sum."""
    with tempfile.TemporaryDirectory() as folder:
        make_chains(Path(folder), num_stages, STEPS[:1], rounds=1)
        return float(output_of(Path(folder), [sys.executable, "-c", RECORD], api="").split()[-1])


def make_chains(root: Path, num_chains: int, steps: tuple[str, ...], rounds: int) -> None:
    """Lay a project of independent chains by rows in ``params.yaml``."""
    for package in ("flows", "tasks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, root / package, ignore=ignored)
    (root / "rows.py").write_text("def fingerprints(params):\n    return {}\n")
    (root / "work.py").write_text(WORK)
    (root / ".gitignore").write_text("/data/\n")
    (root / ".dvcignore").write_text("__pycache__\n")
    chains = {f"chain-{number}": {"rounds": rounds} for number in range(num_chains)}
    (root / "params.yaml").write_text(yaml.safe_dump({"chains": chains}))
    stages: dict[str, Any] = {}
    for step, before in zip(steps, [None, *steps], strict=False):
        stages[step] = {
            "foreach": "${chains}",
            "do": {
                "cmd": f"exec {sys.executable} work.py {step} ${{key}} ${{item.rounds}}",
                "params": ["chains.${key}.rounds"],
                "deps": ["work.py", *([f"data/{before}/${{key}}.txt"] if before else [])],
                "outs": [f"data/{step}/${{key}}.txt"],
            },
        }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    output_of(root, ["git", "init", "--quiet"], api="")
    output_of(root, [sys.executable, "-m", "dvc", "init", "--quiet"], api="")


def timed(root: Path, command: list[str], api: str) -> float:
    """Return how many seconds a command takes."""
    started = time.perf_counter()
    output_of(root, command, api)
    return time.perf_counter() - started


def output_of(root: Path, command: list[str], api: str) -> str:
    """Run a command in a project; return what it prints."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    kept |= {"DOWNSTREAM_ROWS": "rows", **({"PREFECT_API_URL": api} if api else {})}
    done = subprocess.run(command, cwd=root, env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def prefect_server() -> Iterator[str]:
    """Start a Prefect server with a store of its own; give its API's address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        environment = {**os.environ, "PREFECT_HOME": home, "DO_NOT_TRACK": "1"}
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.servers.child", sys.executable, *command],
            env={**environment, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            address = f"http://127.0.0.1:{port}/api"
            _wait_for(f"{address}/health", server)
            yield address
        finally:
            server.terminate()
            server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5)  # noqa: S310 - our own server
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    sys.exit(f"the Prefect server ended with {server.returncode}")


if __name__ == "__main__":
    main()
