"""Killed at any point, nothing that was finished is lost, and nothing is left behind."""

import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.flows.conftest import prefect_server
from tests.flows.stage_pipeline import StagePipeline

CHANGED = ("models.m.finetune.rate", 0.9)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, reproduced_stages: StagePipeline
) -> dict[str, Any]:
    """The lock of a run that nobody disturbed."""
    return lock_after(CHANGED, reproduced_stages, tmp_path_factory.mktemp("undisturbed"))


def lock_after(change: tuple[str, Any], reproduced: StagePipeline, folder: Path) -> dict[str, Any]:
    """Return the lock that ``dvc repro`` writes after a change of a parameter."""
    pipeline = reproduced.copy_to(folder)
    pipeline.change(*change)
    pipeline.repro()
    return pipeline.lock()


@pytest.fixture
def changed(staged: StagePipeline) -> StagePipeline:
    """A workspace in which ``finetune@m`` and ``evaluate@m`` are to run."""
    staged.change(*CHANGED)
    return staged


def kill_and_collect(process: "subprocess.Popen[str]") -> str:
    process.kill()
    return process.communicate(timeout=30)[1]


def test_kill_9_of_the_flow_takes_its_stages_and_its_temporary_server_with_it(
    changed: StagePipeline, prefect_api: str, undisturbed: dict[str, Any]
) -> None:
    changed.control(finetune_m="checkpoint")
    flow = changed.start_downstream("run", api="")
    changed.wait_for("checkpointed", flow)
    running = [process.cmdline() for process in changed.processes()]
    assert len(running) >= 3  # the flow, its stage, the server
    # It is the one that we started: Prefect found no reason to start one of its own.
    assert [words[2:4] for words in running if "uvicorn" in words or "server" in words] == [
        ["server", "start"]
    ]
    kill_and_collect(flow)
    changed.wait_for_silence()
    assert changed.held_locks() == []
    assert len(list(Path(".downstream/checkpoints/finetune@m").glob("*/step"))) == 1
    changed.control()
    done = changed.downstream("run", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert changed.begun() == ["finetune@m", "finetune@m", "evaluate@m"]
    assert changed.lock() == undisturbed
    assert not Path(".downstream/checkpoints/finetune@m").exists()


def test_a_result_that_was_finished_when_the_flow_was_killed_is_taken_over(
    changed: StagePipeline, prefect_api: str, undisturbed: dict[str, Any]
) -> None:
    changed.control(finetune_m="linger")
    flow = changed.start_downstream("run", api=prefect_api)
    changed.wait_for("lingers", flow)
    kill_and_collect(flow)
    changed.wait_for_silence()
    assert changed.begun() == ["finetune@m"]
    changed.control()
    done = changed.downstream("run", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert "finetune@m: taken over from a run that ended before it was recorded" in done.stderr
    assert changed.begun() == ["evaluate@m"]
    assert changed.lock() == undisturbed
    assert list(Path(".downstream/finished").glob("*@m/*")) == []


@pytest.mark.parametrize("moment", ["finished", "moved"])
def test_a_stage_killed_between_its_end_and_its_record_is_taken_over(
    changed: StagePipeline, prefect_api: str, undisturbed: dict[str, Any], moment: str
) -> None:
    changed.control(finetune_m=f"die {moment}")
    done = changed.downstream("run", api=prefect_api)
    assert done.returncode == 1
    assert "error: finetune@m failed: killed by SIGKILL" in done.stderr
    changed.control()
    changed.repro() if moment == "moved" else changed.downstream("run", api=prefect_api)
    assert changed.begun() == ["finetune@m", "evaluate@m"]
    assert changed.lock() == undisturbed
    assert changed.held_locks() == []


def test_a_stage_killed_while_it_works_runs_again(
    changed: StagePipeline, prefect_api: str, undisturbed: dict[str, Any]
) -> None:
    changed.control(finetune_m="checkpoint")
    flow = changed.start_downstream("run", api=prefect_api)
    changed.wait_for("checkpointed", flow)
    (stage,) = [p for p in changed.processes() if "run_finetune.py" in p.cmdline()]
    stage.kill()
    assert "killed by SIGKILL" in flow.communicate(timeout=60)[1]
    assert changed.held_locks() == []
    changed.control()
    assert changed.downstream("run", api=prefect_api).returncode == 0
    assert changed.lock() == undisturbed


def test_kill_9_of_prefects_server_loses_no_stage(
    changed: StagePipeline,
    tmp_path_factory: pytest.TempPathFactory,
    prefect_api: str,
    undisturbed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "1")  # each takes seconds, and changes nothing
    changed.control(finetune_m="wait")
    with prefect_server(tmp_path_factory.mktemp("killed")) as (api, server):
        flow = changed.start_downstream("run", api=api)
        changed.wait_for("waits", flow)
        for process in [*psutil.Process(server.pid).children(recursive=True), server]:
            process.send_signal(signal.SIGKILL)
        server.wait()
        changed.write("go", "")
        _, err = flow.communicate(timeout=120)
    assert "Traceback" not in err
    changed.wait_for_silence()
    assert changed.held_locks() == []
    done = changed.downstream("run", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert changed.begun() == ["finetune@m", "evaluate@m"]
    assert changed.lock() == undisturbed


def test_what_dvc_repro_recorded_is_swept_by_the_next_run(staged: StagePipeline) -> None:
    assert len(list(Path(".downstream/finished").glob("*@*"))) == 8
    assert staged.downstream("run").returncode == 0
    assert list(Path(".downstream/finished").glob("*@*")) == []


def test_a_result_of_the_locks_own_hash_is_kept_while_the_cache_has_lost_it(
    staged: StagePipeline, prefect_api: str
) -> None:
    """A fresh clone has ``dvc.lock`` and no cache: what is made there is not recorded yet."""
    staged.control(finetune_m="die finished")
    subprocess.run(["rm", "-rf", "data/finetune", ".dvc/cache", ".downstream"], check=True)
    assert staged.downstream("run", "finetune@m", api=prefect_api).returncode == 1
    staged.control()
    staged.events()
    assert staged.downstream("run", "finetune@m", api=prefect_api).returncode == 0
    assert staged.begun() == []


def test_a_finished_result_taken_over_has_the_same_mlflow_record(
    staged: StagePipeline, prefect_api: str
) -> None:
    from tasks.tracking.store import opened

    with opened():
        pass  # a stage does not wait long for a store that is only being made
    staged.change("models.m.finetune", {"rate": 0.9, "metrics": True})
    staged.control(finetune_m="die moved")
    assert staged.downstream("run", "finetune@m", api=prefect_api).returncode == 1
    first = mlflow_runs()
    staged.control()
    done = staged.downstream("run", "finetune@m", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert staged.begun() == ["finetune@m"]
    assert mlflow_runs() == first
    assert [status for _, status in first] == ["FINISHED"]


def mlflow_runs() -> list[tuple[str, str]]:
    """Return the id and the status of every run in the workspace's store."""
    with closing(sqlite3.connect("mlflow.db")) as store:
        return store.execute("SELECT run_uuid, status FROM runs").fetchall()
