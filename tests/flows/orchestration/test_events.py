"""Events for Prefect automations: which are sent, what they hold, and that the server gets them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.orchestration.events import verdicts
from tests.flows.deployed import Prefect, wait_for

# What a run of the pipeline does to the workspace, in a flow run of its own.
NIGHT = """
import json, sys
from pathlib import Path
from prefect import flow
from prefect.runtime import flow_run
from flows.orchestration.events import announce, verdicts

@flow
def night():
    before = verdicts()
    for path, content in json.loads(sys.argv[1]).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content))
    return announce(before, str(flow_run.id))

print(json.dumps(night()))
"""
METRICS = {"accuracy": 0.97, "gain": 0.01, "intervals": {"accuracy": [0.9, 1.0]}, "plan": None}


@pytest.fixture
def prefect(prefect_api: str, tmp_path: Path) -> Prefect:
    return Prefect(prefect_api, tmp_path / ".prefect")


def night(prefect: Prefect, root: Path, **written: Any) -> list[str]:
    """Write files in a flow run; return the names of the events that it sent."""
    environment = {**prefect.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", NIGHT, json.dumps(written)],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sent: list[str] = json.loads(done.stdout.splitlines()[-1])
    return sent


def version(model: str, missed: list[str], content_hash: str = "abc") -> dict[str, Any]:
    gates = {"passed": not missed, "missed": missed}
    return {"model": model, "content_hash": content_hash, "gates": gates}


def files_of(model: str, missed: list[str]) -> dict[str, Any]:
    return {
        f"data/register/{model}/version.json": version(model, missed),
        f"data/evaluate/{model}/metrics.json": METRICS,
    }


def test_a_new_candidate_reaches_the_server_with_its_metrics(
    prefect: Prefect, tmp_path: Path
) -> None:
    sent = night(prefect, tmp_path, **files_of("eagle", []))
    assert sent == ["downstream.candidate.registered"]
    events = wait_for(lambda: prefect.events(sent[0]), bool)
    (event,) = [
        each
        for each in events
        if each["resource"]["prefect.resource.id"] == "downstream.model.eagle"
    ]
    assert event["payload"] == {
        "model": "eagle",
        "version": None,  # the registry has none of this content
        "content_hash": "abc",
        "missed": [],
        "metrics": {"accuracy": 0.97, "gain": 0.01},
    }
    # The second time, nothing is new.
    assert night(prefect, tmp_path, **files_of("eagle", [])) == []


def test_a_missed_gate_and_a_failed_validation_reach_the_server_with_their_reasons(
    prefect: Prefect, tmp_path: Path
) -> None:
    check = {"expectation": "no text twice", "passed": False}
    evidence = {"passed": False, "expectations": [check, {"passed": True}]}
    written = {
        **files_of("owl", ["accuracy 0.97 is below 0.98"]),
        ".downstream/validate/birds/result.json": evidence,
    }
    assert night(prefect, tmp_path, **written) == ["downstream.gate.failed"] * 2
    events = wait_for(lambda: prefect.events("downstream.gate.failed"), lambda seen: len(seen) > 1)
    missed = {
        event["resource"]["prefect.resource.id"]: event["payload"]["missed"] for event in events
    }
    assert missed["downstream.model.owl"] == ["accuracy 0.97 is below 0.98"]
    assert missed["downstream.corpus.birds"] == [check]


def test_a_verdict_is_new_when_its_content_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("data/register/owl/version.json")
    path.parent.mkdir(parents=True)
    assert verdicts() == {}
    path.write_text(json.dumps(version("owl", [])))
    before = verdicts()
    path.write_text(json.dumps(version("owl", [])))
    assert verdicts() == before
    path.write_text(json.dumps(version("owl", [], "def")))
    assert verdicts().keys() == before.keys()
    assert verdicts() != before
