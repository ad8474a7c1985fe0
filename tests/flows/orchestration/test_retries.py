"""What may go away by itself is tried again; bad input is not."""

from pathlib import Path

import pytest

from tests.flows.deployed import wait_for
from tests.flows.orchestration.test_pipeline import ask, last_flow_run, task_runs
from tests.flows.stage_pipeline import StagePipeline


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOWNSTREAM_RETRY_SECONDS", "0.2")


def test_a_source_that_is_away_is_tried_again_until_it_answers(
    staged: StagePipeline, prefect_api: str
) -> None:
    staged.change("corpora.a.clean", {"part": 1})
    staged.control(clean_a="unreachable 2")
    done = staged.downstream("run", "clean@a", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert staged.begun() == ["clean@a", "clean@a", "clean@a"]
    assert "clean@a failed: the hub is away: wait; will be tried again (4 times" in done.stderr
    run = task_runs(prefect_api, last_flow_run(prefect_api))["clean@a"]
    assert (run["run_count"], run["state_name"]) == (3, "Ran")


def test_bad_input_is_not_tried_again(staged: StagePipeline, prefect_api: str) -> None:
    staged.change("corpora.a.clean", {"part": 1})
    staged.control(clean_a="bad")
    done = staged.downstream("run", "clean@a", api=prefect_api)
    assert done.returncode == 1
    assert staged.begun() == ["clean@a"]
    assert "tried again" not in done.stderr


def test_progress_moves_while_a_gpu_stage_trains(staged: StagePipeline, prefect_api: str) -> None:
    def percent() -> list[float]:
        key = {"key": {"like_": "progress-finetune-m"}}
        found = ask(prefect_api, "artifacts", artifacts=key, sort="CREATED_DESC", limit=1)
        return [artifact["data"] for artifact in found]

    staged.change("models.m.finetune.rate", 0.8)
    staged.control(finetune_m="progress")
    process = staged.start_downstream("run", "finetune@m", api=prefect_api)
    wait_for(percent, lambda seen: seen == [75.0])
    Path("go").touch()
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert "finetune m: 3/4 loss 0.5" in told
    assert percent() == [100.0]
