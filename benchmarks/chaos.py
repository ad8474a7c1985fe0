"""Kills at random moments, ten times each: the next run ends as an undisturbed one would.

``flow``: the workspace is the small one of the tests, whose stages are toys in real stage
processes. Each round starts a run, kills something in it, checks that nothing is left, and runs
again. ``training``: real trainings on a small real corpus, killed twice each round, once in each
half of their time; each run after a kill has to go on from a checkpoint, and files and curves are
compared with those of one that nothing disturbed. What had ended before it was killed does not
count: it is tried again.

    python -m benchmarks.chaos [--what {flow,training,all}] [--rounds 10] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from tests.flows.conftest import prefect_server
from tests.flows.stage_pipeline import StagePipeline
from tests.tasks.conftest import write_texts
from tests.tasks.training.jobs import BERT, Job
from tests.tasks.training.kills import (
    TRIES,
    TooLate,
    everything,
    fault_when_killed,
    launcher_alone,
    one_rank,
)

LONGEST_SECONDS = 20.0
"""A run of the six stages that are to run takes about as long."""
Found = Iterator[tuple[str, int, str | None]]
Kill = Callable[[StagePipeline, Any], bool]
"""Kills something; returns whether there was something to kill."""


def kill_flow(pipeline: StagePipeline, _server: Any) -> bool:
    """Kill the process of ``downstream run``."""
    return _kill(pipeline, "flows")


def kill_stage(pipeline: StagePipeline, _server: Any) -> bool:
    """Kill one stage that runs, if one does."""
    return _kill(pipeline, "run_")


def kill_server(_pipeline: StagePipeline, server: Any) -> bool:
    """Kill Prefect's server with all its processes."""
    for process in [*psutil.Process(server.pid).children(recursive=True), server]:
        process.kill()
    return True


def tear_lock(pipeline: StagePipeline, _server: Any) -> bool:
    """Kill the run and cut ``dvc.lock`` off somewhere, as a power loss may."""
    if not _kill(pipeline, "flows"):
        return False
    pipeline.wait_for_silence()
    lock = pipeline.root / "dvc.lock"
    content = lock.read_bytes()
    lock.write_bytes(content[: random.randrange(len(content))])  # noqa: S311 - no secret
    return True


FLOW: dict[str, Kill] = {
    "flow": kill_flow,
    "stage": kill_stage,
    "server": kill_server,
    "lock": tear_lock,
}
KILLED_RANKS = (everything, launcher_alone, one_rank)


def main() -> None:
    """Go through the scenarios; exit with 1 if anything was lost or left behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--what", choices=("flow", "training", "all"), default="all", help="what is killed"
    )
    parser.add_argument("--rounds", type=int, default=10, help="how often each is killed")
    parser.add_argument("--quick", action="store_true", help="once each")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    survived: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, number, fault in chaos(arguments.what, Path(folder), rounds):
            survived[name] = survived.get(name, 0) + (not fault)
            print(f"{name} {number + 1}/{rounds}: {fault or 'survived'}", flush=True)
    killed = rounds * len(survived)
    if arguments.json:
        ratio = round(sum(survived.values()) / killed, 3)
        print(json.dumps({"ratio": ratio, "survived": survived, "rounds": rounds}))
    sys.exit(0 if sum(survived.values()) == killed else 1)


def chaos(what: str, folder: Path, rounds: int) -> Found:
    """Yield each kill, its number, and what was wrong afterwards, if anything."""
    if what in ("flow", "all"):
        yield from flow_chaos(folder / "flow", rounds)
    if what in ("training", "all"):
        yield from training_chaos(folder / "training", rounds)


def flow_chaos(folder: Path, rounds: int) -> Found:
    """Kill runs."""
    folder.mkdir()
    undisturbed = make_reproduced(folder / "reproduced")
    for name, kill in FLOW.items():
        for number in range(rounds):
            for attempt in range(TRIES):
                place = undisturbed.copy_to(folder / f"{name}-{number}-{attempt}")
                with suppress(TooLate):
                    yield name, number, survive(place, kill, undisturbed.expected)
                    break
            else:
                yield name, number, f"{TRIES} times in a row there was nothing left to kill"


def training_chaos(folder: Path, rounds: int) -> Found:
    """Kill trainings, each twice."""
    splits = write_texts(folder)
    training: Any = BERT["training"]
    ranks = {**BERT, "training": {**training, "devices": 2}}
    pretrained = Job(folder / "pretrain", splits, "pretrain", settings=BERT)
    finetuned = Job(
        folder / "finetune",
        splits,
        "finetune",
        settings={"epochs": 3, "batch_size": 8},
        backbone=pretrained.output / "model",
    )
    on_two_ranks = Job(folder / "two ranks", splits, "pretrain", settings=ranks)
    jobs = {"pretrain": pretrained, "finetune": finetuned, "two ranks": on_two_ranks}
    for name, undisturbed in jobs.items():
        undisturbed.run()
        for number in range(rounds):
            choice = KILLED_RANKS if undisturbed is on_two_ranks else (everything,)
            kills = random.choices(choice, k=2)  # noqa: S311 - no secret
            yield name, number, fault_when_killed(undisturbed, folder / f"{name}-{number}", kills)


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
    """Kill something in a run, run again; return what is wrong then, if anything.

    Raises:
        TooLate: from the moment that was drawn on there was nothing to kill.
    """
    os.chdir(pipeline.root)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        with prefect_server(Path(home)) as (api, server):
            flow = pipeline.start_downstream("run", api=api)
            time.sleep(random.uniform(1, LONGEST_SECONDS))  # noqa: S311 - no secret
            killed = False
            while flow.poll() is None and not (killed := kill(pipeline, server)):
                time.sleep(0.05)
            flow.communicate(timeout=300)
            pipeline.wait_for_silence(30)
        if not killed:
            raise TooLate
        if held := pipeline.held_locks():
            return f"locks are left: {held}"
        with prefect_server(Path(home)) as (api, _):
            done = pipeline.downstream("run", api=api)
    if done.returncode:
        return f"the next run failed: {done.stderr[-500:]}"
    if pipeline.lock() != expected:
        return "dvc.lock is another than after an undisturbed run"
    return None


def _kill(pipeline: StagePipeline, word: str) -> bool:
    for process in pipeline.processes():
        try:
            if any(word in part for part in process.cmdline()):
                process.kill()
                return True
        except psutil.Error:
            continue
    return False


if __name__ == "__main__":
    main()
