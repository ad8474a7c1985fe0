"""Stages as jobs of a real SLURM with two nodes."""

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.slurm_cluster import SlurmCluster
from tests.flows.stage_pipeline import StagePipeline


@pytest.fixture
def jobs(
    staged: StagePipeline, slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> StagePipeline:
    """A workspace in which everything is fresh, on a cluster."""
    for name, value in slurm.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOWNSTREAM_SLURM_POLL_SECONDS", "1")
    monkeypatch.setenv("DOWNSTREAM_RETRY_SECONDS", "1")
    return staged


def wait_until(happened: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.2)


def job_of(pipeline: StagePipeline, name: str) -> str:
    record = pipeline.root / f".downstream/slurm/jobs/{name}.json"
    wait_until(record.exists)
    return str(json.loads(record.read_text())["id"])


def test_stages_run_as_jobs_of_arrays_and_leave_the_lock_of_a_local_run(
    jobs: StagePipeline, slurm: SlurmCluster, prefect_api: str
) -> None:
    expected = jobs.lock()
    made = [f"data/{stage}" for stage in ("code", "clean", "split", "finetune", "evaluate")]
    for name in ("dvc.lock", ".dvc/cache", ".downstream", *made):
        jobs.remove(name)
    jobs.write("slurm.yaml", "cpu: {time: 5}\ngpu: {time: 10}\n")
    done = jobs.downstream("run", "--engine", "slurm", api=prefect_api)
    assert done.returncode == 0, done.stderr
    assert sorted(jobs.begun()) == sorted(set(expected["stages"]) - {"code"})
    assert jobs.lock() == expected
    arrays = list((jobs.root / ".downstream/slurm").glob("*/job.sh"))
    assert len(list((jobs.root / ".downstream/slurm").glob("*/*.exit"))) == 8
    assert len(arrays) < 8, "stages that were ready at once are one array"
    assert "finetune@m | done in" in done.stderr


def test_a_job_that_is_killed_is_tried_again(
    jobs: StagePipeline, slurm: SlurmCluster, prefect_api: str
) -> None:
    jobs.control(finetune_m="checkpoint", finetune_n="wait")
    jobs.change("models.m.finetune.rate", 0.7)
    jobs.change("models.n.finetune.rate", 0.7)
    with jobs.start_downstream("run", "--engine", "slurm", api=prefect_api) as run:
        wait_until((jobs.root / "checkpointed").exists)
        wait_until((jobs.root / "waits").exists)
        jobs.control()
        slurm("scancel", "--signal=KILL", job_of(jobs, "finetune@m"))
        # The other one without a word to SLURM: its script and its stage.
        (stage,) = [
            one for one in jobs.processes() if one.cmdline()[1:] == ["run_finetune.py", "n"]
        ]
        for process in (stage.parent(), stage):
            process.kill()
        _, lines = run.communicate(timeout=180)
    assert run.returncode == 0, lines
    again = [line for line in lines.splitlines() if "will be tried again" in line]
    assert [line.split()[0] for line in sorted(again)] == ["finetune@m", "finetune@n"], lines
    assert "was ended (FAILED)" in sorted(again)[1], lines
    assert sorted(jobs.begun()) == sorted(
        ["finetune@m", "finetune@n", "finetune@m", "finetune@n", "evaluate@m", "evaluate@n"]
    )
    assert jobs.plan().unfresh == []


def test_a_training_near_its_time_limit_keeps_a_checkpoint_and_is_queued_again(
    jobs: StagePipeline, slurm: SlurmCluster, prefect_api: str
) -> None:
    jobs.control(finetune_m="until stopped")
    jobs.change("models.m.finetune.rate", 0.7)
    jobs.write("slurm.yaml", "gpu: {time: 2}\nseconds_before_limit: 60\n")
    with jobs.start_downstream("run", "--engine", "slurm", api=prefect_api) as run:
        wait_until((jobs.root / "trains").exists)
        job = job_of(jobs, "finetune@m")
        _, lines = run.communicate(timeout=400)
    assert run.returncode == 0, lines
    assert "near its time limit; its checkpoint is kept, and the job queued again" in lines
    assert "will be tried again" not in lines
    assert "Restarts=1" in slurm("scontrol", "show", "job", job, "-o")
    assert jobs.begun() == ["finetune@m", "finetune@m", "evaluate@m"]
    assert jobs.plan().unfresh == []


def test_a_run_that_was_killed_finds_its_job_again(
    jobs: StagePipeline, slurm: SlurmCluster, prefect_api: str
) -> None:
    jobs.control(finetune_m="wait")
    jobs.change("models.m.finetune.rate", 0.7)
    with jobs.start_downstream("run", "--engine", "slurm", api=prefect_api) as run:
        wait_until((jobs.root / "waits").exists)
        job = job_of(jobs, "finetune@m")
        run.kill()
    with jobs.start_downstream("run", "--engine", "slurm", api=prefect_api) as run:
        lines = ""
        for line in run.stderr or ():
            lines += line
            if "is waited for" in line:
                Path("go").touch()
        assert run.wait(180) == 0, lines
    assert f"finetune@m: SLURM's job {job} of an earlier run is waited for" in lines
    assert jobs.begun() == ["finetune@m", "evaluate@m"]


def test_ctrl_c_ends_the_jobs_and_a_controller_that_is_away_does_not(
    jobs: StagePipeline, slurm: SlurmCluster, prefect_api: str
) -> None:
    jobs.control(finetune_m="wait", finetune_n="until stopped")
    jobs.change("models.m.finetune.rate", 0.7)
    jobs.change("models.n.finetune.rate", 0.7)
    with jobs.start_downstream("run", "--engine", "slurm", api=prefect_api) as run:
        wait_until((jobs.root / "waits").exists)
        wait_until((jobs.root / "trains").exists)
        slurm.stop_controller()
        time.sleep(5)
        slurm.start_controller()
        (jobs.root / "go").touch()
        wait_until(lambda: "end evaluate@m" in (jobs.root / "events.txt").read_text())
        assert run.poll() is None
        job = job_of(jobs, "finetune@n")
        run.send_signal(signal.SIGINT)
        _, lines = run.communicate(timeout=120)
    assert run.returncode == 130, lines
    assert "finetune@n | error: stopped by SIGTERM; a checkpoint is kept" in lines
    wait_until(lambda: job not in slurm("squeue", "--array", "-h", "-o", "%i"))
    assert jobs.states().items() >= {("finetune@n", "stale"), ("evaluate@n", "waiting")}
    assert list((jobs.root / ".downstream/checkpoints/finetune@n").glob("*/step"))


def test_a_job_that_is_held_is_told_and_goes_on_when_it_is_released(
    jobs: StagePipeline, slurm: SlurmCluster, prefect_api: str
) -> None:
    jobs.control(finetune_m="wait")
    jobs.change("models.m.finetune.rate", 0.7)
    with jobs.start_downstream("run", "--engine", "slurm", api=prefect_api) as run:
        wait_until((jobs.root / "waits").exists)
        job = job_of(jobs, "finetune@m")
        slurm("scontrol", "requeuehold", job)
        patience = threading.Timer(400, run.kill)
        patience.start()
        lines = ""
        for line in run.stderr or ():
            lines += line
            if "is held" in line:
                (jobs.root / "go").touch()
                slurm("scontrol", "release", job)
        patience.cancel()
        assert run.wait(180) == 0, lines
    assert f"warning: finetune@m: SLURM's job {job} is held (" in lines
    assert jobs.begun() == ["finetune@m", "finetune@m", "evaluate@m"]


def test_an_option_that_slurm_refuses_is_told_in_one_line(
    jobs: StagePipeline, slurm: SlurmCluster, prefect_api: str
) -> None:
    jobs.write("slurm.yaml", "gpu: {partition: none-such}\n")
    jobs.change("models.m.finetune.rate", 0.7)
    done = jobs.downstream("run", "--engine", "slurm", api=prefect_api)
    assert done.returncode == 1
    assert "finetune@m: sbatch: " in done.stderr
    assert "invalid partition" in done.stderr
    assert "will be tried again" not in done.stderr
