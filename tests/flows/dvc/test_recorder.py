"""What is recorded, and what is not: the same as ``dvc repro`` records, under its locks."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from flows.dvc.graph import load_graph
from flows.dvc.recorder import Job, Recorder
from tasks.errors import BadInput, ChangedWhileRunning, MissingPin, StageFailed
from tests.flows.pipeline import Pipeline


def execute(job: Job) -> None:
    subprocess.run(["/bin/sh", "-c", str(job.command)], check=True, env=None)


def bring_up_to_date(recorder: Recorder, name: str, force: bool = False) -> str:
    job = recorder.begin(name, force)
    if not isinstance(job, Job):
        return job
    execute(job)
    recorder.end(job, succeeded=True)
    return "ran"


def bring_all(recorder: Recorder) -> dict[str, str]:
    return {name: bring_up_to_date(recorder, name) for name in load_graph().stages}


@pytest.fixture(autouse=True)
def this_python_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def test_the_lock_is_the_one_that_repro_writes(
    new_pipeline: Pipeline, reproduced: Pipeline
) -> None:
    outcomes = bring_all(Recorder())
    assert set(outcomes.values()) == {"ran"}
    assert new_pipeline.lock() == reproduced.lock()
    assert "up to date" in new_pipeline.dvc("status")


def test_the_comparison_of_locks_can_fail(pipeline: Pipeline, reproduced: Pipeline) -> None:
    pipeline.change("seed", 1)
    bring_all(Recorder())
    assert pipeline.lock() != reproduced.lock()


def test_a_result_recorded_here_is_one_that_repro_restores(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune.rate", 0.7)
    bring_all(Recorder())
    pipeline.change("models.m.finetune.rate", 0.5)
    pipeline.repro()
    pipeline.ran()
    pipeline.change("models.m.finetune.rate", 0.7)
    pipeline.repro()
    assert pipeline.ran() == []


def test_a_result_in_the_run_cache_is_restored(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune.rate", 0.7)
    pipeline.repro()
    after = pipeline.lock()
    pipeline.change("models.m.finetune.rate", 0.5)
    pipeline.repro()
    pipeline.ran()
    pipeline.change("models.m.finetune.rate", 0.7)
    outcomes = bring_all(Recorder())
    assert {name for name, outcome in outcomes.items() if outcome == "restored"} == {
        "code", "finetune@m", "evaluate@m",
    }  # fmt: skip
    assert pipeline.ran() == []
    assert pipeline.lock() == after
    assert "up to date" in pipeline.dvc("status")


def test_fresh_stages_are_left_alone(pipeline: Pipeline) -> None:
    before = Path("dvc.lock").stat().st_mtime_ns
    assert set(bring_all(Recorder()).values()) == {"fresh"}
    assert Path("dvc.lock").stat().st_mtime_ns == before


def test_a_forced_stage_runs_and_the_lock_stays_the_same(pipeline: Pipeline) -> None:
    before = pipeline.lock()
    assert bring_up_to_date(Recorder(), "finetune@m", force=True) == "ran"
    assert pipeline.lock() == before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("params.yaml", None),
        ("data/sources/a/records.csv", "a,9\n"),
        ("data/code/clean/a.txt", "settings {}\nmodules.clean 9\n"),
    ],
)
def test_an_edit_while_a_stage_runs_is_an_error_and_leaves_no_record(
    pipeline: Pipeline, path: str, text: str | None
) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    lock, runs = pipeline.lock(), set(Path(".dvc/cache/runs").rglob("*"))
    recorder = Recorder()
    job = recorder.begin("clean@a")
    assert isinstance(job, Job)
    execute(job)
    if text is None:
        pipeline.change("corpora.a.clean", {"drop": 2})
    else:
        pipeline.write(path, text)
    with pytest.raises(ChangedWhileRunning, match=r"^clean@a: .* changed while running; .*"):
        recorder.end(job, succeeded=True)
    assert pipeline.lock() == lock
    assert set(Path(".dvc/cache/runs").rglob("*")) == runs
    assert not Path("data/clean/a/records.parquet").exists()


def test_an_edit_of_another_row_while_a_stage_runs_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    recorder = Recorder()
    job = recorder.begin("clean@a")
    assert isinstance(job, Job)
    execute(job)
    pipeline.change("corpora.b.clean", {"drop": 2})
    recorder.end(job, succeeded=True)
    assert recorder.begin("clean@a") == "fresh"
    assert isinstance(recorder.begin("clean@b"), Job)


def test_a_row_that_goes_while_running_is_an_error(pipeline: Pipeline) -> None:
    recorder = Recorder()
    params = pipeline.params()
    del params["models"]["n"]
    pipeline.write_params(params)
    with pytest.raises(ChangedWhileRunning, match=r"^finetune@n: .* lost this stage"):
        recorder.begin("finetune@n")


def test_after_a_failure_the_stage_is_not_restored_as_if_nothing_had_changed(
    pipeline: Pipeline,
) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    recorder = Recorder()
    job = recorder.begin("clean@a")
    assert isinstance(job, Job)
    recorder.end(job, succeeded=False)
    assert isinstance(recorder.begin("clean@a"), Job)


def test_a_stage_that_leaves_out_an_output_fails(pipeline: Pipeline) -> None:
    lock = pipeline.lock()
    pipeline.change("corpora.a.clean", {"drop": 1})
    recorder = Recorder()
    job = recorder.begin("clean@a")
    assert isinstance(job, Job)
    execute(job)
    Path("data/clean/a/report.json").unlink()
    with pytest.raises(StageFailed, match=r"^clean@a ended well, but output '.*report.json'"):
        recorder.end(job, succeeded=True)
    assert pipeline.lock() == lock


def test_a_missing_source_says_how_to_get_it(pipeline: Pipeline) -> None:
    shutil.rmtree("data/sources/a")
    with pytest.raises(MissingPin) as error:
        Recorder().begin("clean@a")
    assert str(error.value) == (
        "clean@a: data/sources/a does not exist: put the files there, or pin remote sources with "
        "`downstream refresh a`"
    )


def test_a_missing_file_that_no_stage_writes_is_named(pipeline: Pipeline) -> None:
    shutil.rmtree("data/clean/a")
    with pytest.raises(BadInput, match=r"^split@a: data/clean/a/records\.parquet does not exist"):
        Recorder().begin("split@a")


def test_while_a_stage_runs_repro_says_who_holds_its_files(pipeline: Pipeline) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    recorder = Recorder()
    job = recorder.begin("clean@a")
    assert isinstance(job, Job)
    with pytest.raises(AssertionError, match="downstream run clean@a"):
        pipeline.dvc("repro", "clean@a")
    execute(job)
    recorder.end(job, succeeded=True)
    pipeline.repro()


def test_a_second_run_waits_for_a_stage_and_then_finds_it_fresh(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    first = Recorder()
    job = first.begin("clean@a")
    assert isinstance(job, Job)
    # A second process: another program name, as DVC tells holders apart within one process.
    script = (
        "from flows.dvc.recorder import Recorder\nprint(Recorder().begin('clean@a'), flush=True)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    second = subprocess.Popen([sys.executable, "-c", script], stdout=-1, stderr=-1, text=True)
    assert second.stderr is not None
    assert "clean@a waits: " in second.stderr.readline()
    execute(job)
    first.end(job, succeeded=True)
    out, _ = second.communicate(timeout=60)
    assert out == "fresh\n"


def test_an_edited_added_file_is_taken_as_it_is_now(pipeline: Pipeline) -> None:
    pipeline.write("data/sources/c/big.csv", "1\n")
    pipeline.dvc("add", "-q", "data/sources/c/big.csv")
    pipeline.write("data/sources/c/big.csv", "2\n")
    recorder = Recorder()
    assert recorder.added_files() == ["data/sources/c/big.csv.dvc"]
    recorder.begin("data/sources/c/big.csv.dvc")
    assert "up to date" in pipeline.dvc("status")


def test_threads_that_record_at_once_leave_one_whole_lock(new_pipeline: Pipeline) -> None:
    recorder = Recorder()
    bring_up_to_date(recorder, "code")
    errors: list[BaseException] = []

    def chain(corpus: str) -> None:
        try:
            for stage in ("clean", "split"):
                bring_up_to_date(recorder, f"{stage}@{corpus}")
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=chain, args=(corpus,)) for corpus in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(new_pipeline.lock()["stages"]) == [
        "clean@a",
        "clean@b",
        "code",
        "split@a",
        "split@b",
    ]


def cached(stage: str, pipeline: Pipeline) -> dict[str, Path]:
    """Return where DVC's cache has each output of a stage."""
    outs = pipeline.lock()["stages"][stage]["outs"]
    return {
        out["path"]: Path(".dvc/cache/files/md5", out["md5"][:2], out["md5"][2:]) for out in outs
    }


def test_a_lost_cache_is_filled_from_disk_and_nothing_runs(pipeline: Pipeline) -> None:
    before = Path("dvc.lock").read_bytes()
    shutil.rmtree(".dvc/cache")
    outcomes = bring_all(Recorder())
    assert set(outcomes.values()) == {"recommitted"}
    assert Path("dvc.lock").read_bytes() == before
    assert "up to date" in pipeline.dvc("status")
    # The run cache too is as it was: what was in it is restored.
    shutil.rmtree("data/finetune")
    Path("dvc.lock").unlink()
    assert set(bring_all(Recorder()).values()) <= {"fresh", "restored"}
    assert pipeline.ran() == []


def test_outputs_that_cache_and_disk_have_in_part_are_put_together(pipeline: Pipeline) -> None:
    before = Path("dvc.lock").read_bytes()
    cached("evaluate@m", pipeline)["data/evaluate/m/metrics.json"].unlink()
    readme = Path("data/evaluate/m/README.md")
    text = readme.read_text()
    readme.unlink()
    assert Recorder().begin("evaluate@m") == "restored"
    assert (readme.read_text(), Path("dvc.lock").read_bytes()) == (text, before)
    assert "up to date" in pipeline.dvc("status", "evaluate@m")


def test_an_edit_that_left_size_and_time_is_not_put_into_the_cache(pipeline: Pipeline) -> None:
    path = Path("data/split/a/train.parquet")
    cached("split@a", pipeline)[path.as_posix()].unlink()
    pipeline.dvc("status")  # DVC remembers the file by size and time
    before = path.stat()
    path.chmod(0o644)
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ChangedWhileRunning, match=f"{path} is not as recorded in dvc.lock"):
        Recorder().begin("split@a")
    assert pipeline.states()["split@a"] == "stale"


def test_a_frozen_stage_is_taken_as_it_lies_there_or_not_at_all(pipeline: Pipeline) -> None:
    text = Path("dvc.yaml").read_text()
    command = "cmd: exec python stage.py split ${key}\n"
    pipeline.write("dvc.yaml", text.replace(command, f"{command}      frozen: true\n"))
    pipeline.write("data/split/a/train.parquet", "by hand")
    assert Recorder().begin("split@a") == "recommitted"
    assert pipeline.states() == {"finetune@m": "stale", "evaluate@m": "waiting"}
    Path("data/split/a/train.parquet").unlink()
    expected = (
        r"^split@a: data/split/a/train\.parquet does not exist, and dvc\.yaml says that the stage "
        "is frozen: `dvc checkout split@a`, or `dvc unfreeze split@a`$"
    )
    with pytest.raises(BadInput, match=expected):
        Recorder().begin("split@a")


def test_a_stage_that_always_changes_is_not_restored(pipeline: Pipeline) -> None:
    text = Path("dvc.yaml").read_text()
    command = "cmd: exec python stage.py evaluate ${key}\n"
    pipeline.write("dvc.yaml", text.replace(command, f"{command}      always_changed: true\n"))
    recorder = Recorder()
    assert recorder.begin("evaluate@m", run=False) == "left"
    assert bring_up_to_date(recorder, "evaluate@m") == "ran"
    assert bring_up_to_date(recorder, "evaluate@m") == "ran"


def test_a_missing_added_file_is_told_with_the_way_to_get_it(pipeline: Pipeline) -> None:
    pipeline.dvc("add", "-q", "data/sources/a/records.csv")
    source = Path("data/sources/a/records.csv")
    source.unlink()
    expected = (
        r"^data/sources/a/records\.csv\.dvc: data/sources/a/records\.csv does not exist, which "
        r"data/sources/a/records\.csv\.dvc names: "
        r"`dvc {} data/sources/a/records\.csv\.dvc`, or put it there$"
    )
    with pytest.raises(BadInput, match=expected.format("checkout")):
        Recorder().begin(f"{source}.dvc")
    shutil.rmtree(".dvc/cache")
    with pytest.raises(BadInput, match=expected.format("pull")):
        Recorder().begin(f"{source}.dvc")


def recorded_rates(pipeline: Pipeline) -> dict[str, object]:
    """Return what dvc.lock has of each clean's parameter ``drop``."""
    stages = pipeline.lock()["stages"]
    values = {row: stages[f"clean@{row}"]["params"]["params.yaml"] for row in "ab"}
    return {row: values[row][f"corpora.{row}.clean"].get("drop") for row in "ab"}


def test_in_batches_a_cheap_stages_record_is_held_back_and_a_gpu_stages_takes_it_along(
    pipeline: Pipeline, reproduced: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("lockfile", "recorder"):
        monkeypatch.setattr(f"flows.dvc.{module}.BATCH_SECONDS", 600)
    for row in "ab":
        pipeline.change(f"corpora.{row}.clean", {"drop": 1})
    recorder = Recorder(in_batches=True)
    for name in ("code", "clean@a", "clean@b"):
        bring_up_to_date(recorder, name)
    assert recorded_rates(pipeline) == {"a": None, "b": None}
    # Another process, or this one after a kill, loses nothing.
    kept = pipeline.copy_to(pipeline.root.with_name("killed"))
    os.chdir(kept.root)
    assert [Recorder().begin(f"clean@{row}") for row in "ab"] == ["restored", "restored"]
    os.chdir(pipeline.root)
    bring_up_to_date(recorder, "split@a")
    bring_up_to_date(recorder, "finetune@m")
    assert recorded_rates(pipeline) == {"a": 1, "b": 1}
    assert list(pipeline.lock()["stages"]) == list(reproduced.lock()["stages"])


def test_what_is_held_back_is_written_a_second_later_beside_what_others_wrote(
    pipeline: Pipeline,
) -> None:
    for row in "ab":
        pipeline.change(f"corpora.{row}.clean", {"drop": 1})
    recorder = Recorder(in_batches=True)
    for name in ("code", "clean@a"):
        bring_up_to_date(recorder, name)
    assert bring_up_to_date(Recorder(), "clean@b") == "ran"
    deadline = time.monotonic() + 60
    while recorded_rates(pipeline) != {"a": 1, "b": 1}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    bring_up_to_date(recorder, "split@a")
    recorder.flush()
    recorder.flush()
    pipeline.repro("split@a", "clean@b")
    assert pipeline.ran().count("split@a") == 1


def test_links_into_a_cache_that_was_lost_are_missing_outputs(pipeline: Pipeline) -> None:
    pipeline.dvc("config", "cache.type", "symlink")
    pipeline.dvc("checkout", "--relink", "-q")
    assert Path("data/finetune/m/model/weights").is_symlink()
    shutil.rmtree(".dvc/cache")
    assert pipeline.states()["finetune@m"] == "stale"
    assert set(bring_all(Recorder()).values()) == {"ran"}
    assert "up to date" in pipeline.dvc("status")


def test_a_cache_that_cannot_be_written_to_is_told_before_a_stage_is_paid_for(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.change("models.m.finetune.rate", 0.7)
    # Permissions do not hold root, who may run the tests.
    monkeypatch.setattr(os, "access", lambda *_: False)
    expected = r"^finetune@m: DVC's cache cannot be written to \(.*\.dvc/cache/files/md5\), so its "
    with pytest.raises(StageFailed, match=expected):
        Recorder().begin("finetune@m")
    monkeypatch.undo()
    os.chdir(pipeline.root)
    monkeypatch.setattr("flows.dvc.recorder._commit", full_disk)
    recorder = Recorder()
    job = recorder.begin("finetune@m")
    assert isinstance(job, Job)
    execute(job)
    with pytest.raises(
        StageFailed, match=r"^finetune@m: DVC cannot read or record it: .*full: mend"
    ):
        recorder.end(job, succeeded=True)


def full_disk(_: object) -> None:
    raise OSError("the disk is full")
