"""Two machines and one MLflow server: at the same moment exactly one decides, and all is on record.

Each machine is a process in a workspace of its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.errors import BadInput, DownstreamError
from tasks.tracking.audit.aliases import move, settle
from tasks.tracking.audit.log import read_log
from tasks.tracking.audit.run import EXPERIMENT, find_run, write_once
from tasks.tracking.audit.writer import Change, append
from tasks.tracking.store import opened
from tests.mlflow_server import ROOT, MlflowServer

ROUNDS = 3
MACHINE = """
import json, sys
from tasks.errors import DownstreamError
from tasks.tracking.audit.aliases import move
from tasks.tracking.audit.writer import Change, append, claim
from tasks.tracking.store import opened

who = sys.argv[1]
with opened() as client:
    for line in iter(lambda: print("ready", flush=True) or sys.stdin.readline(), ""):
        round = int(line)
        claimed = claim(client, "m", f"review-{round}", {"by": who})["by"] == who
        append(client, "m", Change("note", reason=str(round), actor=who))
        try:
            change = Change("approve", "champion", version_to=round + 1, actor=who)
            move(client, "m", change, expected=round or None)
            moved, told = True, ""
        except DownstreamError as error:
            moved, told = False, str(error)
        print(json.dumps({"claimed": claimed, "moved": moved, "told": told}), flush=True)
"""


@pytest.fixture
def server(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowServer]:
    """A real MLflow server over a new store, which this workspace uses too."""
    # Its eight job runners would cost more than the test.
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    started = MlflowServer(workspace)
    started.start()
    try:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", started.url)
        yield started
    finally:
        started.kill()


def machine(folder: Path, who: str) -> "subprocess.Popen[str]":
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", MACHINE, who]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=pipe, stdout=pipe, text=True
    )


def line_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.poll()
    return line


def race(processes: "list[subprocess.Popen[str]]", number: int) -> list[dict[str, object]]:
    for process in processes:
        assert line_of(process) == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
    return [json.loads(line_of(process)) for process in processes]


def test_of_two_who_decide_at_the_same_moment_exactly_one_does(
    server: MlflowServer, tmp_path: Path
) -> None:
    with opened() as client:
        client.create_registered_model("m")
        for _ in range(ROUNDS):
            client.create_model_version("m", source="s3://models/m")
    processes = [machine(tmp_path / who, who) for who in ("ann", "bob")]
    try:
        for number in range(ROUNDS):
            results = race(processes, number)
            assert sorted(result["claimed"] for result in results) == [False, True]
            assert sorted(result["moved"] for result in results) == [False, True]
            (told,) = [result["told"] for result in results if not result["moved"]]
            assert f"champion of m is on version {number + 1} by now: somebody has" in str(told)
    finally:
        for process in processes:
            process.communicate()
    with opened() as client:
        _check_record(client)
        _check_that_nothing_is_replaced(client)


def _check_record(client: MlflowClient) -> None:
    log = read_log(client, "m")
    assert log.problems() == []
    entries = log.entries
    notes = sorted((e["reason"], e["actor"]) for e in entries if e["action"] == "note")
    assert notes == [(str(number), who) for number in range(ROUNDS) for who in ("ann", "bob")]
    moves = [entry["version_to"] for entry in entries if entry["action"] == "approve"]
    assert moves == list(range(1, ROUNDS + 1))
    assert {entry["action"] for entry in entries} == {"note", "approve", "follow"}
    assert log.aliases == {"champion": ROUNDS, "previous": ROUNDS - 1}
    names = [one.name for one in client.search_experiments() if EXPERIMENT in one.name]
    assert names == [f"{EXPERIMENT}m"]


def _check_that_nothing_is_replaced(client: MlflowClient) -> None:
    from mlflow.exceptions import MlflowException

    run = find_run(client, "m")
    assert run is not None
    assert not write_once(client, run.info.run_id, "000001", "another")
    with pytest.raises(MlflowException, match="not allowed"):
        client.log_param(run.info.run_id, "000001", "another")
    client.set_registered_model_alias("m", "champion", "1")
    found = settle(client, "m").entries
    assert [entry["alias"] for entry in found if entry["action"] == "found"] == ["champion"]
    with pytest.raises(BadInput, match="m has no version 9"):
        move(client, "m", Change("approve", "champion", version_to=9))
    with pytest.raises(DownstreamError, match="more than the 6000 that MLflow keeps"):
        append(client, "m", Change("note", evidence={"all": "x" * 6000}))
