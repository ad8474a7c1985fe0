"""The flow on a real Prefect server: what runs, what is recorded, what Prefect shows of it."""

import signal
import time
from pathlib import Path
from typing import Any

import requests

from tests.flows.deployed import ENDED, wait_for
from tests.flows.pipeline import Pipeline


def ask(api: str, what: str, **body: Any) -> Any:
    answer = requests.post(f"{api}/{what}/filter", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()


def last_flow_run(api: str) -> dict[str, Any]:
    """Return the newest of those that have started: the server also plans the nights to come."""
    started = {"start_time": {"is_null_": False}}
    found = ask(api, "flow_runs", sort="START_TIME_DESC", limit=1, flow_runs=started)
    newest: dict[str, Any] = found[0]
    return newest


def task_runs(api: str, flow_run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return them by name; the server hears of them a moment later than of the flow's end."""
    wanted = {"id": {"any_": [flow_run["id"]]}}
    found: list[dict[str, Any]] = wait_for(
        lambda: ask(api, "task_runs", flow_runs=wanted),
        lambda runs: runs and all(run["state_type"] in ENDED for run in runs),
    )
    return {run["name"]: run for run in found}


def test_a_run_does_what_the_plan_says_and_prefect_shows_each_stage_by_name(
    installed: Pipeline, prefect_api: str
) -> None:
    installed.change("models.m.finetune.rate", 0.7)
    done = installed.downstream("run", api=prefect_api)
    assert (done.returncode, installed.ran()) == (0, ["finetune@m", "evaluate@m"]), done.stderr
    assert "up to date" in installed.dvc("status")
    run = last_flow_run(prefect_api)
    assert (run["state_name"], run["parameters"]["targets"]) == ("Completed", [])
    runs = task_runs(prefect_api, run)
    # Without tags Prefect asks for no limit, which a server over SQLite often refuses for seconds.
    assert {name: (task["state_name"], task["tags"]) for name, task in runs.items()} == {
        "finetune@m": ("Ran", []),
        "evaluate@m": ("Ran", []),
    }


def test_logs_and_both_tables_are_in_prefect(installed: Pipeline, prefect_api: str) -> None:
    installed.change("models.n.finetune.rate", 0.7)
    assert installed.downstream("run", api=prefect_api).returncode == 0
    run = last_flow_run(prefect_api)
    task = task_runs(prefect_api, run)["finetune@n"]
    wanted = {"task_run_id": {"any_": [task["id"]]}}
    messages = [log["message"] for log in ask(prefect_api, "logs", logs=wanted)]
    assert "working on n" in messages
    artifacts = ask(prefect_api, "artifacts", flow_runs={"id": {"any_": [run["id"]]}})
    tables = {artifact["key"]: artifact["data"] for artifact in artifacts}
    assert set(tables) == {
        "plan", "results", "progress-finetune-n", "progress-evaluate-n",
    }  # fmt: skip
    assert tables["progress-finetune-n"] == 100.0
    assert "models.n.finetune.rate" in tables["plan"]
    assert '"accuracy": "90.00"' in tables["results"]


def test_the_lock_of_a_first_run_is_the_one_that_repro_writes(
    new_pipeline: Pipeline, reproduced: Pipeline, prefect_api: str
) -> None:
    new_pipeline.install_flows()
    done = new_pipeline.downstream("run", "--jobs", "2", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert new_pipeline.lock() == reproduced.lock()
    assert sorted(new_pipeline.ran()) == sorted(task_runs(prefect_api, last_flow_run(prefect_api)))


def test_what_turns_out_fresh_is_not_started(installed: Pipeline, prefect_api: str) -> None:
    installed.change("corpora.a.clean", {"always": "the same"})
    installed.repro()
    installed.ran()
    installed.change("corpora.a.clean.unread", 1)
    done = installed.downstream("run", api=prefect_api)
    assert (done.returncode, installed.ran()) == (0, ["clean@a"]), done.stderr
    runs = task_runs(prefect_api, last_flow_run(prefect_api))
    assert {name: run["state_name"] for name, run in runs.items()} == {
        "clean@a": "Ran", "split@a": "Fresh", "finetune@m": "Fresh", "evaluate@m": "Fresh",
    }  # fmt: skip
    assert "Stages: 1 ran, 0 restored, 7 fresh" in done.stdout


def test_a_failing_stage_ends_the_run_with_its_own_words_and_what_it_kept_from_running(
    installed: Pipeline, prefect_api: str
) -> None:
    lock = installed.lock()
    installed.change("corpora.a.clean", {"fail": True})
    done = installed.downstream("run", api=prefect_api)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "error: clean@a failed: the row is bad: mend it\n"
        "not started because of this: split@a, finetune@m, evaluate@m\n"
    )
    assert "Traceback" not in done.stderr
    assert installed.ran() == ["clean@a"]
    assert {**installed.lock()["stages"], "code": None} == {**lock["stages"], "code": None}
    assert last_flow_run(prefect_api)["state_type"] == "FAILED"


def test_independent_stages_that_run_beside_a_failure_are_recorded(
    installed: Pipeline, prefect_api: str
) -> None:
    installed.change("corpora.a.clean", {"fail": True, "seconds": 0.3})
    installed.change("corpora.b.clean", {"seconds": 1.5})
    done = installed.downstream("run", "--jobs", "2", api=prefect_api)
    assert done.returncode == 1
    assert sorted(installed.ran()) == ["clean@a", "clean@b"]
    assert installed.states()["split@b"] == "stale"
    assert "clean@b" not in installed.states()


def test_keep_going_runs_what_does_not_depend_on_the_failure(
    installed: Pipeline, prefect_api: str
) -> None:
    installed.change("corpora.a.clean", {"fail": True})
    installed.change("corpora.b.clean", {"drop": 1})
    done = installed.downstream("run", "--keep-going", "--jobs", "1", api=prefect_api)
    assert done.returncode == 1
    assert sorted(installed.ran()) == ["clean@a", "clean@b", "evaluate@n", "finetune@n", "split@b"]
    assert set(installed.states()) == {"clean@a", "split@a", "finetune@m", "evaluate@m"}


def test_a_parameter_edited_while_its_stage_runs_is_an_error_and_nothing_is_recorded(
    installed: Pipeline, prefect_api: str
) -> None:
    before = installed.lock()["stages"]["clean@a"]
    installed.change("corpora.a.clean", {"edit": "data/sources/a/records.csv"})
    done = installed.downstream("run", "clean@a", api=prefect_api)
    assert done.returncode == 1
    assert "error: clean@a: its parameters, inputs or code changed while running" in done.stderr
    assert installed.lock()["stages"]["clean@a"] == before


def test_a_target_runs_with_its_upstream_alone(installed: Pipeline, prefect_api: str) -> None:
    installed.change("seed", 1)
    done = installed.downstream("run", "finetune@m", api=prefect_api)
    assert (done.returncode, installed.ran()) == (0, ["split@a", "finetune@m"]), done.stderr


def test_force_runs_a_fresh_target_alone_and_leaves_the_same_lock(
    installed: Pipeline, prefect_api: str
) -> None:
    lock = installed.lock()
    done = installed.downstream("run", "--force", "split@a", api=prefect_api)
    assert (done.returncode, installed.ran()) == (0, ["split@a"]), done.stderr
    assert installed.lock() == lock


def test_skip_gpu_runs_the_light_stages_and_lists_what_is_left_and_what_waits(
    installed: Pipeline, prefect_api: str
) -> None:
    installed.change("corpora.a.split", {"part": 1})
    installed.change("models.n.evaluate", {"bins": 3})
    done = installed.downstream("run", "--skip-gpu", api=prefect_api)
    assert (done.returncode, installed.ran()) == (0, ["split@a"]), done.stderr
    assert done.stdout.splitlines()[-5:-2] == [
        "Stages: 1 ran, 0 restored, 4 fresh; in " + done.stdout.split("; in ")[1].split("\n")[0],
        "Left, since they need a GPU: evaluate@n, finetune@m",
        "These wait on them: evaluate@m",
    ]
    assert installed.states() == {
        "finetune@m": "stale", "evaluate@m": "waiting", "evaluate@n": "stale",
    }  # fmt: skip


def test_skip_gpu_restores_what_the_run_cache_has(installed: Pipeline, prefect_api: str) -> None:
    installed.change("models.m.finetune.rate", 0.7)
    installed.repro()
    installed.change("models.m.finetune.rate", 0.5)
    installed.ran()
    done = installed.downstream("run", "--skip-gpu", api=prefect_api)
    assert (done.returncode, installed.ran()) == (0, []), done.stderr
    assert "Stages: 0 ran, 2 restored, 6 fresh" in done.stdout


def test_two_gpu_stages_run_one_after_the_other_where_there_is_no_gpu(
    installed: Pipeline, prefect_api: str
) -> None:
    installed.change("models.m.finetune", {"rate": 0.7, "seconds": 1})
    installed.change("models.n.finetune", {"rate": 0.7, "seconds": 1})
    done = installed.downstream("run", "finetune", api=prefect_api)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if "finetune" in line]
    assert [line.split()[2] for line in lines if "working" not in line] == [
        "started", "done", "started", "done",
    ]  # fmt: skip


def test_ctrl_c_ends_the_stages_and_cancels_the_flow_run(
    installed: Pipeline, prefect_api: str
) -> None:
    installed.change("corpora.a.clean", {"seconds": 600})
    process = installed.start_downstream("run", "clean@a", api=prefect_api)
    while not Path("ran.txt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)  # a tenth of what the stage would take
    assert process.returncode == 130, err
    assert "Traceback" not in err
    run = last_flow_run(prefect_api)
    assert run["state_type"] == "CANCELLED"
    assert task_runs(prefect_api, run)["clean@a"]["state_type"] == "CANCELLED"
    # Nothing is held any more: the plain way goes on from here.
    installed.change("corpora.a.clean", {})
    installed.repro()


def test_sigterm_ends_a_run_like_ctrl_c(installed: Pipeline, prefect_api: str) -> None:
    installed.change("corpora.a.clean", {"seconds": 60})
    process = installed.start_downstream("run", "clean@a", api=prefect_api)
    while not Path("ran.txt").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert last_flow_run(prefect_api)["state_type"] == "CANCELLED"
