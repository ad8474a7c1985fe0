"""Nights on a real Prefect server with a real worker: what runs, where, and what is left behind."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from tests.flows.deployed import ENDED, Prefect, commit, deployable, git, wait_for
from tests.flows.pipeline import Pipeline
from tests.flows.servers.test_serve import running_in

ALL = ["clean@a", "clean@b", "evaluate@m", "evaluate@n", "finetune@m", "finetune@n",
       "split@a", "split@b"]  # fmt: skip
CLONE = ".downstream/nightly/clone"


@pytest.fixture(scope="module")
def prefect(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Prefect:
    return Prefect(prefect_api, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def workspace(
    tmp_path_factory: pytest.TempPathFactory, reproduced: Pipeline, prefect: Prefect
) -> Iterator[Pipeline]:
    """A workspace whose deployments a worker runs, which was started somewhere else."""
    made = deployable(reproduced.copy_to(tmp_path_factory.mktemp("work space")))
    for pool in ("cpu", "gpu"):
        prefect.command("work-pool", "create", pool, "--type", "process", folder=made.root)
    prefect.command("deploy", "--all", folder=made.root)
    tool = str(Path(sys.executable).parent / "prefect")
    worker = [tool, "worker", "start", "--pool", "cpu"]
    with prefect.process(worker, tmp_path_factory.mktemp("worker")):
        yield made


def test_the_deployments_are_those_of_prefect_yaml(workspace: Pipeline, prefect: Prefect) -> None:
    nightly, train = prefect.deployment("nightly"), prefect.deployment("train")
    listed = yaml.safe_load((workspace.root / "prefect.yaml").read_text())["deployments"]
    assert [entry["name"] for entry in listed] == ["nightly", "train", "review", "stage"]
    assert prefect.deployment("review")["entrypoint"] == "flows.orchestration.review.review"
    (started,) = prefect.ask("automations/filter", {})
    assert started["trigger"]["expect"] == ["downstream.candidate.registered"]
    (schedule,) = nightly["schedules"]
    (cron,) = listed[0]["schedules"]
    assert {key: schedule["schedule"][key] for key in cron} == cron
    assert (nightly["work_pool_name"], train["schedules"]) == ("cpu", [])


def test_the_form_of_train_has_typed_and_described_fields(
    workspace: Pipeline, prefect: Prefect
) -> None:
    form = prefect.deployment("train")["parameter_openapi_schema"]["properties"]
    assert {name: field["type"] for name, field in form.items()} == {
        "targets": "array",
        "overrides": "object",
        "jobs": "integer",
        "force": "boolean",
        "keep_going": "boolean",
        "skip_gpu": "boolean",
        "pull": "boolean",
        "push": "boolean",
        "engine": "string",
    }
    assert form["targets"]["items"] == {"type": "string"}
    values = form["overrides"]["additionalProperties"]["anyOf"]
    assert {value["type"] for value in values} >= {"boolean", "integer", "number", "string"}
    assert all(field["description"] for field in form.values())


def test_whose_code_runs_is_no_parameter(workspace: Pipeline, prefect: Prefect) -> None:
    form = prefect.deployment("nightly")["parameter_openapi_schema"]["properties"]
    assert set(form) == {"branch", "commit_to", "targets", "refresh", "jobs"}


def test_a_night_runs_in_a_clone_and_commits_there_and_a_second_one_runs_no_stage(
    workspace: Pipeline, prefect: Prefect
) -> None:
    head, lock = git(workspace.root, "rev-parse", "HEAD"), workspace.lock()
    first = prefect.run("nightly")
    assert first["state_type"] == "COMPLETED", first["state"]
    # `refresh` has written a pin beside each corpus' sources, so everything is stale.
    assert prefect.task_runs(first) == ALL
    clone = workspace.root / CLONE
    assert git(clone, "diff", "--name-only", f"{head}..nightly").splitlines() == [
        "data/sources/a/pin.json",
        "data/sources/b/pin.json",
        "dvc.lock",
    ]
    second = prefect.run("nightly")
    assert second["state_type"] == "COMPLETED", second["state"]
    assert prefect.task_runs(second) == []
    assert git(clone, "rev-list", "--count", f"{head}..nightly") == "1"
    # The workspace is as it was: its files, its branches, its lock; nothing ran in it.
    assert git(workspace.root, "status", "--porcelain") == ""
    assert git(workspace.root, "branch", "--format=%(refname:short)") == "main"
    assert (workspace.lock(), workspace.ran()) == (lock, [])
    assert "up to date" in workspace.dvc("status")


def test_prefects_scheduler_plans_the_next_nights_at_the_hour_of_the_cron_line(
    workspace: Pipeline, prefect: Prefect
) -> None:
    planned = {
        "deployments": {"name": {"any_": ["nightly"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    nights = wait_for(lambda: prefect.ask("flow_runs/filter", planned), bool)
    assert all(night["auto_scheduled"] for night in nights)
    assert {night["expected_start_time"][11:19] for night in nights} == {"02:00:00"}


def test_a_night_runs_what_a_branch_has_made_stale_with_that_branchs_code(
    workspace: Pipeline, prefect: Prefect
) -> None:
    git(workspace.root, "checkout", "-q", "-B", "newer", "main")
    workspace.change("models.m.evaluate.rate", 0.7)
    module = "flows/orchestration/pipeline.py"
    flow = (workspace.root / module).read_text()
    assert "stages looked at" in flow
    workspace.write(
        module,
        flow.replace("stages looked at", "stages of the new code"),
    )
    commit(workspace, "another rate")
    git(workspace.root, "checkout", "-q", "main")
    night = prefect.run("nightly", branch="newer", commit_to="nightly-newer", refresh=False)
    assert prefect.task_runs(night) == ["evaluate@m"]
    assert "1 stages of the new code; committed" in night["state"]["message"]


def test_a_night_that_is_cancelled_ends_its_stages_which_are_task_runs_of_its_own(
    workspace: Pipeline, prefect: Prefect
) -> None:
    git(workspace.root, "checkout", "-q", "-B", "slow", "main")
    workspace.change("corpora.a.clean", {"seconds": 600})
    commit(workspace, "a slow stage")
    git(workspace.root, "checkout", "-q", "main")
    identifier = prefect.schedule(
        "nightly", branch="slow", commit_to="nightly-slow", refresh=False, targets=["clean@a"]
    )
    ran = workspace.root / CLONE / "ran.txt"
    ran.unlink(missing_ok=True)
    wait_for(ran.exists, bool)
    state = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    prefect.ask(f"flow_runs/{identifier}/set_state", state)
    night = prefect.end_of(identifier)
    assert night["state_type"] == "CANCELLED", night["state"]
    wanted = {"flow_runs": {"id": {"any_": [identifier]}}}
    (stage,) = wait_for(
        lambda: prefect.ask("task_runs/filter", wanted),
        lambda runs: runs and runs[0]["state_type"] in ENDED,
    )
    assert (stage["name"], stage["state_type"]) == ("clean@a", "CANCELLED")
    wait_for(lambda: running_in(workspace.root / CLONE), lambda left: not left, seconds=30)


def test_a_source_that_does_not_answer_is_a_failed_night_and_nothing_runs(
    workspace: Pipeline, prefect: Prefect
) -> None:
    git(workspace.root, "checkout", "-q", "-B", "away", "main")
    away = {"sources": [{"kind": "url", "urls": {"train": "http://127.0.0.1:9/records.csv"}}]}
    workspace.change("corpora.a.collect", away)
    workspace.change("seed", 1)
    commit(workspace, "a source that is away")
    night = prefect.run("nightly", branch="away", commit_to="nightly-away")
    git(workspace.root, "checkout", "-q", "main")
    assert night["state_type"] == "FAILED"
    assert night["state"]["message"].startswith("refresh failed: ")
    assert "127.0.0.1:9" in night["state"]["message"]
    assert prefect.task_runs(night) == []


def test_two_nights_at_once_exclude_each_other(workspace: Pipeline, prefect: Prefect) -> None:
    with FileLock(workspace.root / f"{CLONE}.lock"):
        night = prefect.run("nightly")
    assert (night["state_type"], night["state_name"]) == ("CANCELLED", "Skipped")
    assert "another nightly run works in" in night["state"]["message"]


def test_a_branch_that_is_not_there_is_a_failed_night_that_names_those_there_are(
    workspace: Pipeline, prefect: Prefect
) -> None:
    night = prefect.run("nightly", branch="mian")
    assert night["state_type"] == "FAILED"
    assert "none named 'mian'; allowed: " in night["state"]["message"]
    assert "did you mean 'main'?" in night["state"]["message"]
