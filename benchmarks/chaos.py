"""Kills at random moments, ten times each: the next run ends as an undisturbed one would.

The workspace is the small one of the tests, whose stages are toys in real stage processes. Each
round starts a run, kills something in it, checks that nothing is left, and runs again.

    python -m benchmarks.chaos [--what flow] [--rounds 10] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from tests.flows.conftest import prefect_server
from tests.flows.stage_pipeline import StagePipeline

LONGEST_SECONDS = 20.0
"""A run of the six stages that are to run takes about as long."""
Kill = Callable[[StagePipeline, Any], None]


def kill_flow(pipeline: StagePipeline, _server: Any) -> None:
    """Kill the process of ``downstream run``."""
    _kill(pipeline, "flows")


def kill_stage(pipeline: StagePipeline, _server: Any) -> None:
    """Kill one stage that runs, if one does."""
    _kill(pipeline, "run_")


def kill_server(_pipeline: StagePipeline, server: Any) -> None:
    """Kill Prefect's server with all its processes."""
    for process in [*psutil.Process(server.pid).children(recursive=True), server]:
        process.kill()


def tear_lock(pipeline: StagePipeline, _server: Any) -> None:
    """Kill the run and cut ``dvc.lock`` off somewhere, as a power loss may."""
    _kill(pipeline, "flows")
    pipeline.wait_for_silence()
    lock = pipeline.root / "dvc.lock"
    content = lock.read_bytes()
    lock.write_bytes(content[: random.randrange(len(content))])  # noqa: S311 - no secret


FLOW: dict[str, Kill] = {
    "flow": kill_flow,
    "stage": kill_stage,
    "server": kill_server,
    "lock": tear_lock,
}
SCENARIOS: dict[str, dict[str, Kill]] = {"flow": FLOW}


def main() -> None:
    """Go through the scenarios; exit with 1 if anything was lost or left behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", choices=sorted(SCENARIOS), default="flow", help="what is killed")
    parser.add_argument("--rounds", type=int, default=10, help="how often each is killed")
    parser.add_argument("--quick", action="store_true", help="once each")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    survived = dict.fromkeys(SCENARIOS[arguments.what], 0)
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = make_reproduced(Path(folder) / "reproduced")
        for name, kill in SCENARIOS[arguments.what].items():
            for number in range(rounds):
                place = Path(folder) / f"{name}-{number}"
                fault = survive(undisturbed.copy_to(place), kill, undisturbed.expected)
                survived[name] += not fault
                print(f"{name} {number + 1}/{rounds}: {fault or 'survived'}", flush=True)
    killed = rounds * len(survived)
    if arguments.json:
        ratio = round(sum(survived.values()) / killed, 3)
        print(json.dumps({"ratio": ratio, "survived": survived, "rounds": rounds}))
    sys.exit(0 if sum(survived.values()) == killed else 1)


class Reproduced(StagePipeline):
    """A workspace with a change that is to be run, and the lock that an undisturbed run leaves."""

    expected: dict[str, Any]


def make_reproduced(root: Path) -> Reproduced:
    """Run the small pipeline, change it, and run a copy of that undisturbed."""
    root.mkdir()
    os.chdir(root)
    pipeline = Reproduced(root)
    pipeline.repro()
    pipeline.change("seed", 1)
    for key in ("corpora.a.split", "models.m.evaluate", "models.n.evaluate"):
        pipeline.change(key, {"seconds": 0.5})
    other = pipeline.copy_to(root.with_name("undisturbed"))
    other.repro()
    pipeline.expected = other.lock()
    return pipeline


def survive(pipeline: StagePipeline, kill: Kill, expected: dict[str, Any]) -> str | None:
    """Kill something in a run, run again; return what is wrong then, if anything."""
    os.chdir(pipeline.root)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        with prefect_server(Path(home)) as (api, server):
            flow = pipeline.start_downstream("run", api=api)
            time.sleep(random.uniform(1, LONGEST_SECONDS))  # noqa: S311 - no secret
            kill(pipeline, server)
            flow.communicate(timeout=300)
            pipeline.wait_for_silence(30)
        if held := pipeline.held_locks():
            return f"locks are left: {held}"
        with prefect_server(Path(home)) as (api, _):
            done = pipeline.downstream("run", api=api)
    if done.returncode:
        return f"the next run failed: {done.stderr[-500:]}"
    if pipeline.lock() != expected:
        return "dvc.lock is another than after an undisturbed run"
    return None


def _kill(pipeline: StagePipeline, word: str) -> None:
    for process in pipeline.processes():
        try:
            if any(word in part for part in process.cmdline()):
                process.kill()
                return
        except psutil.Error:
            continue


if __name__ == "__main__":
    main()
