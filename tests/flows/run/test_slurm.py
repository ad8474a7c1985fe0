"""What stages ask SLURM for; jobs of a real one are in ``tests/cluster``."""

from pathlib import Path
from threading import Timer

import pytest

from flows.run.slurm import ROOM, Requests, SlurmJobs, _end_of, _Job, read_requests
from flows.run.stage_command import TransientError
from tasks.contracts import files
from tasks.errors import BadSettings


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "slurm.yaml"
    path.write_text(text)
    return path


def test_a_stage_asks_for_what_its_kind_its_stage_and_its_row_say(tmp_path: Path) -> None:
    text = """
    cpu: {partition: cpu}
    gpu: {partition: gpu, gres: "gpu:{devices}", time: 60}
    stages:
      pretrain: {time: 120}
      pretrain@big: {time: "2-00:00:00"}
    """
    asked = read_requests(written(tmp_path, text))
    assert asked.of("clean@a", 0) == ("--partition=cpu",)
    assert asked.of("finetune@m", 1) == ("--partition=gpu", "--gres=gpu:1", "--time=60")
    assert asked.of("pretrain@a", 4) == ("--partition=gpu", "--gres=gpu:4", "--time=120")
    assert asked.of("pretrain@big", 1)[-1] == "--time=2-00:00:00"
    assert asked.seconds_before_limit == 120


def test_without_a_file_slurms_defaults_are_asked_for(tmp_path: Path) -> None:
    assert read_requests(tmp_path / "slurm.yaml") == Requests()
    assert Requests().of("clean@a", 0) == ()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cpu: {output: x}", r"cpu\.output: `downstream run` sets this itself"),
        ("cpu: {'wrap=x; true': x}", "is no long option of sbatch"),
        ("gpu: {time: [1]}", r"gpu\.time: expected a text or a number, found \[1\]"),
        ("tpu: {}", "expected cpu, gpu, seconds_before_limit, stages"),
        ("seconds_before_limit: 0", "seconds_before_limit: expected 1 to 65535, found 0"),
        ("stages: [clean]", "stages: expected stages with their options"),
        ("cpu: {", "is not YAML"),
    ],
    ids=["ours", "no option", "no value", "no kind", "seconds", "stages", "torn"],
)
def test_what_may_not_stand_there_is_refused_by_its_key(
    tmp_path: Path, text: str, error: str
) -> None:
    with pytest.raises(BadSettings, match=error):
        read_requests(written(tmp_path, text))


def test_without_slurm_the_engine_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadSettings, match=r"^--engine slurm: sbatch is not here"):
        SlurmJobs(lambda _: 0)


def test_the_exit_code_of_a_stage_that_failed_is_waited_for_where_files_are_seen_late(
    tmp_path: Path,
) -> None:
    job = _Job("clean@a", "hash", "false", {}, (), folder=tmp_path, state="FAILED")
    late = Timer(0.2, job.file("exit").write_text, ["3\n"])
    late.start()
    assert _end_of(job) == (3, [])
    late.join()


def test_no_second_job_is_submitted_while_slurm_does_not_tell_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for program, does in (("sbatch", ": >submitted"), ("squeue", "exit 1")):
        (tmp_path / program).write_text(f"#!/bin/sh\n[ $1 = --version ] || {does}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    record = {"id": "7_0", "stage_hash": "hash", "folder": str(ROOM / "clean@a-1"), "index": 0}
    files.write_json(ROOM / "jobs" / "clean@a.json", record)
    jobs = SlurmJobs(lambda _: 0)
    with pytest.raises(TransientError, match="SLURM does not say whether job 7_0"):
        jobs.run("clean@a", "true", {}, print, "hash")
    (tmp_path / "squeue").unlink()  # no process can be started: no answer either
    with pytest.raises(TransientError, match="SLURM does not say whether job 7_0"):
        jobs.run("clean@a", "true", {}, print, "hash")
    assert not (tmp_path / "submitted").exists()
