"""Results shared through DVC's remote: a folder that two clones know."""

import os
import resource
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from flows.run.session import Options, Session
from flows.run.stage_command import TransientError
from flows.sharing import exchange
from flows.sharing.remote import Remote
from tasks.contracts.lock import md5_of
from tasks.errors import BadSettings, StageFailed
from tests.flows.pipeline import Pipeline

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]


@pytest.fixture
def store(pipeline: Pipeline) -> Path:
    """The remote of a workspace that is fresh and committed; it holds nothing yet."""
    folder = pipeline.root.with_name(f"{pipeline.root.name}-remote")
    name_remote(pipeline, folder)
    subprocess.run(["git", "add", "-A"], cwd=pipeline.root, check=True)
    subprocess.run([*GIT, "commit", "-qm", "results"], cwd=pipeline.root, check=True)
    return folder


def name_remote(pipeline: Pipeline, folder: Path) -> None:
    pipeline.write(
        ".dvc/config", f"[core]\n    remote = store\n['remote \"store\"']\n    url = {folder}\n"
    )


def run(pipeline: Pipeline, *targets: str, **options: Any) -> dict[str, str]:
    """Do what a run does, without Prefect; return what became of each stage."""
    running = Session(Options(targets, **options), pipeline.codes(), pipeline.devices_of)
    running.begin()
    try:
        for stage in running.stages:
            running.outcomes[stage.name] = running.perform(stage.name, lambda _: None)
    finally:
        running.end()
    running.require_sent()
    return {**running.outcomes}


def clone(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Clone a workspace's last commit, and go there."""
    target = pipeline.root.with_name(f"{pipeline.root.name}-clone")
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(pipeline.root), str(target)], check=True)
    copy = type(pipeline).__new__(type(pipeline))
    copy.root = target
    monkeypatch.chdir(target)
    return copy


def objects(store: Path) -> list[Path]:
    return sorted(path for path in (store / "files").rglob("*") if path.is_file())


def test_a_fresh_clone_of_a_commit_runs_nothing(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(pipeline, push=True) == {}
    before = pipeline.lock()
    teammate = clone(pipeline, monkeypatch)
    outcomes = run(teammate, pull=True)
    assert (len(outcomes), set(outcomes.values())) == (8, {"restored"})
    assert teammate.ran() == []
    assert teammate.lock() == before
    assert teammate.plan().unfresh == []
    assert "up to date" in teammate.dvc("status")


def test_a_result_that_no_commit_names_is_found_by_what_it_is_made_from(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pipeline, push=True)
    pipeline.change("models.m.finetune.rate", 0.7)
    assert run(pipeline, push=True) == {"finetune@m": "ran", "evaluate@m": "ran"}
    teammate = clone(pipeline, monkeypatch)
    teammate.change("models.m.finetune.rate", 0.7)
    assert set(run(teammate, pull=True).values()) == {"restored"}
    assert teammate.ran() == []
    assert teammate.lock() == pipeline.lock()


def test_library_versions_travel_with_a_result(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.fingerprint.libraries import keep_versions, versions_then
    from tasks.stage_process.stage_hash import entry_hash

    key = entry_hash(pipeline.lock()["stages"]["finetune@m"])
    keep_versions("finetune@m", key)
    made_with = versions_then("finetune@m", key)
    assert made_with
    run(pipeline, push=True)
    teammate = clone(pipeline, monkeypatch)
    run(teammate, pull=True)
    assert versions_then("finetune@m", key) == made_with
    assert versions_then("finetune@n", key) is None


def test_only_what_is_missing_is_sent(
    pipeline: Pipeline, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(pipeline, push=True)
    assert "objects sent to DVC's remote store" in capsys.readouterr().err
    times = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    assert len(times) > 16
    run(pipeline, push=True)
    assert "sent" not in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in times} == times
    objects(store)[0].unlink()
    objects(store)[1].chmod(0o644)
    objects(store)[1].write_bytes(b"cut")
    run(pipeline, push=True)
    assert "2 objects sent" in capsys.readouterr().err


def test_a_corrupted_object_is_reported_computed_anew_and_replaced(
    pipeline: Pipeline,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(pipeline, push=True)
    (output,) = pipeline.lock()["stages"]["split@a"]["outs"]
    spoilt = store / "files/md5" / output["md5"][:2] / output["md5"][2:]
    good = spoilt.read_bytes()
    spoilt.chmod(0o644)
    spoilt.write_bytes(good[::-1])
    teammate = clone(pipeline, monkeypatch)
    outcomes = run(teammate, pull=True, push=True)
    assert outcomes.pop("split@a") == "ran"
    assert set(outcomes.values()) == {"restored"}
    assert f"warning: store has a corrupted object, which is not used: {spoilt}" in (
        capsys.readouterr().err
    )
    assert teammate.lock() == pipeline.lock()
    assert spoilt.read_bytes() == good


def test_a_corrupted_entry_of_the_run_cache_is_not_used(
    pipeline: Pipeline,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline.change("models.m.finetune.rate", 0.7)
    run(pipeline, push=True)
    for entry in (store / "runs").rglob("*"):
        if entry.is_file() and "data/finetune/m" in entry.read_text():
            text = entry.read_text()
            entry.write_text(text.replace("data/split/a", "data/split/b"))
    teammate = clone(pipeline, monkeypatch)
    teammate.change("models.m.finetune.rate", 0.7)
    outcomes = run(teammate, pull=True)
    assert outcomes["finetune@m"] == "ran"
    assert "store has a corrupted entry of the run cache, which is not used" in (
        capsys.readouterr().err
    )


def test_a_transfer_that_was_interrupted_goes_on_where_it_stopped(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = pipeline.root / "data/sources/a/large.bin"
    large.write_bytes(os.urandom(2**20))
    md5 = str(md5_of(large))
    target = store / "files/md5" / md5[:2] / md5[2:]
    target.parent.mkdir(parents=True)
    shutil.copy(large, target)
    partial = pipeline.root / ".dvc/cache/files/partial" / md5
    partial.parent.mkdir(parents=True)
    partial.write_bytes(large.read_bytes()[:1000])
    cached = pipeline.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    # What came before the interruption is not asked for again: here the remote has lost it.
    target.chmod(0o644)
    target.write_bytes(bytes(1000) + large.read_bytes()[1000:])
    assert Remote().fetch_contents("a", {"large.bin": md5})
    assert cached.read_bytes() == large.read_bytes()
    assert not partial.exists()
    # A beginning that does not fit is thrown away.
    cached.unlink()
    shutil.copy(large, target)
    partial.write_bytes(bytes(1000))
    assert Remote().fetch_contents("a", {"large.bin": md5})
    assert cached.read_bytes() == large.read_bytes()


def test_sources_that_were_added_to_dvc_come_and_go_too(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked = ["git", "rm", "-q", "--cached", "data/sources/a/records.csv"]
    subprocess.run(tracked, cwd=pipeline.root, check=True)
    pipeline.dvc("add", "-q", "data/sources/a/records.csv")
    subprocess.run(["git", "add", "-A"], cwd=pipeline.root, check=True)
    subprocess.run([*GIT, "commit", "-qm", "added"], cwd=pipeline.root, check=True)
    run(pipeline, push=True)
    teammate = clone(pipeline, monkeypatch)
    source = teammate.root / "data/sources/a/records.csv"
    assert not source.exists()
    assert set(run(teammate, pull=True).values()) == {"restored"}
    assert source.read_text() == "a,1\n"


def test_results_that_could_not_be_sent_are_named_and_recorded_all_the_same(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "FIRST_WAIT_SECONDS", 0.01)
    store.write_text("a file where a folder should be")
    pipeline.change("models.m.finetune.rate", 0.7)
    with pytest.raises(StageFailed, match=r"^not sent, though recorded here: .*finetune@m; "):
        run(pipeline, "finetune@m", push=True)
    assert pipeline.ran() == ["finetune@m"]
    assert pipeline.plan("finetune@m").unfresh == []


def test_an_interrupt_while_all_is_sent_lets_no_further_transfer_begin(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    interrupted = threading.Event()

    def send(_: Remote, name: str, stage_hash: str) -> int:
        begun.append(name)
        interrupted.wait(60)
        return 0

    monkeypatch.setattr(Remote, "send", send)
    sending = exchange.Exchange(pull=False, push=True)
    for number in range(3 * exchange.STAGES_AT_ONCE):
        sending.send(f"pretrain@{number}", "")
    threading.Timer(1, signal.pthread_kill, (threading.get_ident(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        sending.finish(stopping=False)
    interrupted.set()
    sending._threads.shutdown()
    assert len(begun) == exchange.STAGES_AT_ONCE


def test_a_remote_that_does_not_answer_ends_the_stage_which_may_be_tried_again(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "FIRST_WAIT_SECONDS", 0.01)
    pipeline.change("models.m.finetune.rate", 0.7)
    run(pipeline, push=True)
    pipeline.ran()
    for entry in [path for path in (store / "runs").rglob("*") if path.is_file()]:
        entry.unlink()
        entry.symlink_to(entry)  # the operating system refuses to open it
    shutil.rmtree(pipeline.root / ".dvc/cache/runs")
    shutil.rmtree(pipeline.root / "data/finetune/m")
    pipeline.write("dvc.lock", pipeline.root.joinpath("dvc.lock").read_text().replace("0.7", "0.9"))
    with pytest.raises(
        TransientError, match=r"^finetune@m: its result cannot be looked for: DVC's"
    ):
        run(pipeline, "finetune@m", pull=True)
    assert pipeline.ran() == []


def test_without_a_remote_nothing_starts(pipeline: Pipeline) -> None:
    with pytest.raises(BadSettings, match="--pull and --push need a default remote"):
        run(pipeline, pull=True)


def test_a_run_that_has_failed_does_not_wait_for_what_it_began_to_fetch(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pipeline, push=True)
    teammate = clone(pipeline, monkeypatch)
    begun, over = threading.Event(), threading.Event()
    next_chunk, stop_fetching = Remote._next_chunk, Remote.stop_fetching

    def slow(remote: Remote, source: BinaryIO) -> bytes:
        begun.set()
        over.wait(60)
        return next_chunk(remote, source)

    def stopped(remote: Remote) -> None:
        stop_fetching(remote)
        over.set()

    monkeypatch.setattr(Remote, "_next_chunk", slow)
    monkeypatch.setattr(Remote, "stop_fetching", stopped)
    running = Session(Options(pull=True), teammate.codes(), teammate.devices_of)
    running.begin()
    assert begun.wait(60)
    running.end()
    assert over.is_set()
    entries = teammate.lock()["stages"].items()
    results = [out["md5"] for name, entry in entries if name != "code" for out in entry["outs"]]
    cache = teammate.root / ".dvc/cache/files/md5"
    assert not any((cache / md5[:2] / md5[2:]).exists() for md5 in results), "of any stage"


def test_a_local_disk_that_is_full_is_told_as_that_and_not_as_the_remotes_fault(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pipeline, push=True)
    teammate = clone(pipeline, monkeypatch)
    wanted = teammate.lock()["stages"]["finetune@m"]["outs"][0]["md5"]
    remote = Remote()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))  # as a disk that has no more room
    try:
        with pytest.raises(StageFailed, match=r"^finetune@m: its result cannot be kept here: no "):
            remote.fetch_contents("finetune@m", {"model": wanted})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert remote.fetch_contents("finetune@m", {"model": wanted})


def test_a_stage_that_runs_alone_takes_what_it_reads_and_nothing_else(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pipeline, push=True)
    pipeline.change("models.m.finetune.rate", 0.7)
    wanted = pipeline.plan("finetune@m").unfresh[0].name
    here = Session(Options((wanted,)), pipeline.codes(), pipeline.devices_of)
    found = here.recorder.wanted(wanted)
    assert found
    worker = clone(pipeline, monkeypatch)
    worker.change("models.m.finetune.rate", 0.7)
    assert run(worker, wanted, pull=True, push=True, alone=found.stage_hash) == {wanted: "ran"}
    assert worker.ran() == [wanted]
    made = sorted(path.as_posix() for path in Path("data").glob("*/*") if path.is_dir())
    assert [path for path in made if not path.startswith(("data/code/", "data/sources/"))] == [
        "data/finetune/m",
        "data/split/a",
    ]
    monkeypatch.chdir(pipeline.root)
    outcomes = run(pipeline, "evaluate@m", pull=True)
    assert outcomes == {"finetune@m": "restored", "evaluate@m": "ran"}


def test_a_stage_that_runs_alone_is_refused_where_its_hash_is_another(
    pipeline: Pipeline, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pipeline, push=True)
    worker = clone(pipeline, monkeypatch)
    worker.change("models.m.finetune.rate", 0.7)
    with pytest.raises(StageFailed, match=r"^finetune@m: its hash is \w{12} with the inputs, .*"):
        run(worker, "finetune@m", pull=True, push=True, alone="0" * 64)
    shutil.rmtree(store)
    shutil.rmtree(worker.root / ".dvc/cache")
    with pytest.raises(StageFailed, match=r"^finetune@m: .* does not have what it reads"):
        run(worker, "finetune@m", pull=True, push=True, alone="0" * 64)
    assert worker.ran() == []


def test_pools_are_refused_without_a_git_remote_and_when_all_is_forced(
    pipeline: Pipeline, store: Path
) -> None:
    def start(force: bool) -> None:
        Session(Options(force=force, engine="pools"), pipeline.codes(), pipeline.devices_of)

    with pytest.raises(BadSettings, match="no git remote named origin"):
        start(force=False)
    with pytest.raises(BadSettings, match=r"^--force: not with --engine pools"):
        start(force=True)
