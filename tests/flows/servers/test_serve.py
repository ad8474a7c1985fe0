"""``downstream serve``: what it needs, what it serves, and that nothing outlives it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.orchestration.review_runs import CLOSED
from tests.flows.deployed import ENDED, Prefect, deployable, processes_of, wait_for
from tests.flows.pipeline import Pipeline
from tests.flows.servers.test_child import command_of


@pytest.fixture(scope="module")
def prefect(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Prefect:
    return Prefect(prefect_api, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def workspace(reproduced: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return deployable(reproduced.copy_to(tmp_path_factory.mktemp("served here")))


@pytest.fixture
def serving(workspace: Pipeline, prefect: Prefect) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, once it takes runs."""
    command = [sys.executable, "-m", "flows", "serve"]
    log = workspace.root / "process.log"
    log.unlink(missing_ok=True)
    with prefect.process(command, workspace.root) as process:
        wait_for(lambda: log.exists() and log.read_text(), lambda said: "Serving" in str(said))
        yield process


def running_in(root: Path) -> list[int]:
    """Return the processes whose current directory is the workspace."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == root and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_train_runs_its_targets_with_its_overrides_and_comments_stay(
    workspace: Pipeline, prefect: Prefect, serving: "subprocess.Popen[bytes]"
) -> None:
    params = workspace.root / "params.yaml"
    params.write_text(f"# Our parameters.\n{params.read_text()}")
    run = prefect.run("train", targets=["finetune@m"], overrides={"models.m.finetune.rate": 0.7})
    assert run["state_type"] == "COMPLETED", run["state"]
    assert prefect.task_runs(run) == ["finetune@m"]
    assert workspace.params()["models"]["m"]["finetune"] == {"rate": 0.7}
    assert params.read_text().startswith("# Our parameters.\n")
    wrong = prefect.run("train", targets=["finetun@m"])
    assert wrong["state_type"] == "FAILED"
    assert "did you mean 'finetune'?" in wrong["state"]["message"]


def test_a_flow_run_and_its_stages_end_with_a_killed_serve(
    workspace: Pipeline, prefect: Prefect, serving: "subprocess.Popen[bytes]"
) -> None:
    workspace.ran()
    workspace.change("corpora.b.clean", {"seconds": 600})
    prefect.schedule("train", targets=["clean@b"])
    wait_for(workspace.ran, bool)
    stages = running_in(workspace.root)
    assert any("stage.py" in command_of(stage) for stage in stages)
    serving.send_signal(signal.SIGKILL)
    wait_for(lambda: running_in(workspace.root), lambda left: not left, seconds=30)


def test_reviews_that_a_stop_has_interrupted_are_asked_again(
    workspace: Pipeline, prefect: Prefect, serving: "subprocess.Popen[bytes]"
) -> None:
    # Its process is left without an end by the runner that stops, or is cancelled by it.
    stopped = prefect.schedule("review", model="stopped")
    wait_for(lambda: processes_of(stopped), bool)
    serving.terminate()
    serving.wait(60)
    assert prefect.flow_run(stopped)["state_type"] in {"PENDING", "CANCELLED"}
    for model, states in {
        "cancelled": [{"type": "CANCELLED"}],
        "killed": [{"type": "COMPLETED"}, {"type": "RUNNING"}],
        "crashed": [{"type": "CRASHED"}],
        "ended": [{"type": "CANCELLED"}, {"type": "COMPLETED"}],
        "closed": [{"type": "CANCELLED", "name": CLOSED}],
    }.items():
        for state in states:
            made = prefect.schedule("review", model=model)
            prefect.ask(f"flow_runs/{made}/set_state", {"state": state, "force": True})
    before = {run["id"] for run in prefect.flow_runs("review")}
    command = [sys.executable, "-m", "flows", "serve"]
    with prefect.process(command, workspace.root):
        added = wait_for(
            lambda: [run for run in prefect.flow_runs("review") if run["id"] not in before],
            lambda found: len(found) == 4 and all(run["state_type"] in ENDED for run in found),
            seconds=120,
        )
    models = sorted(run["parameters"]["model"] for run in added)
    assert models == ["cancelled", "crashed", "killed", "stopped"]
    assert prefect.flow_runs("review", "RUNNING") == []


@pytest.mark.parametrize(
    ("api", "message"),
    [
        (None, "error: serve needs a Prefect server: start one with `prefect server start` and "),
        ("http://127.0.0.1:9/api", "error: no Prefect server answers at http://127.0.0.1:9/api: "),
    ],
)
def test_without_a_server_it_says_what_to_do(
    workspace: Pipeline, tmp_path: Path, api: str | None, message: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    named = {"PREFECT_API_URL": api} if api else {}
    done = subprocess.run(
        [sys.executable, "-m", "flows", "serve"],
        cwd=workspace.root, env={**kept, **named, "PREFECT_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
