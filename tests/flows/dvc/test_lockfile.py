"""``dvc.lock``: the same bytes as DVC's, written as a whole, and rebuilt where it is torn."""

import subprocess

import pytest

from flows.dvc.graph import load_graph
from flows.dvc.internals import dvc_stages, open_repo
from flows.dvc.lockfile import (
    TORN,
    LockFile,
    entries_of,
    fault_of,
    fault_of_lock,
    rebuild,
)
from flows.dvc.recorder import Recorder
from tasks.contracts.lock import LOCK
from tests.flows.pipeline import Pipeline


def record_as_dvc(name: str) -> bytes:
    before = LOCK.read_bytes() if LOCK.exists() else None
    dvc_stages(open_repo())[name].dump(update_pipeline=False)
    written = LOCK.read_bytes()
    LOCK.write_bytes(before) if before else LOCK.unlink()
    return written


@pytest.mark.parametrize("name", ["code", "split@a", "evaluate@n"])
def test_an_entry_is_written_byte_for_byte_as_dvc_writes_it(pipeline: Pipeline, name: str) -> None:
    without = LOCK.read_text().split(f"  {name}:\n")
    rest = without[1].partition("\n  ")
    while rest[2][:1] == " ":  # the rest of the entry is indented further
        rest = rest[2].partition("\n  ")
    stage = dvc_stages(open_repo())[name]
    # The entry is missing, then there: added at the end, then replaced in its place.
    LOCK.write_text(without[0] + (f"  {rest[2]}" if rest[2] else ""))
    expected = record_as_dvc_stage(stage)
    LockFile().record(stage)
    assert LOCK.read_bytes() == expected
    LockFile().record(stage)
    assert LOCK.read_bytes() == expected == record_as_dvc(name)


def record_as_dvc_stage(stage: object) -> bytes:
    before = LOCK.read_bytes()
    stage.dump(update_pipeline=False)  # type: ignore[attr-defined]
    written = LOCK.read_bytes()
    LOCK.write_bytes(before)
    return written


def test_a_lock_laid_out_by_hand_is_left_to_dvc_and_replaced_as_a_whole(
    pipeline: Pipeline,
) -> None:
    text = "# by hand\n" + LOCK.read_text()
    LOCK.write_text(text)
    assert entries_of(text) is None
    inode = LOCK.stat().st_ino
    LockFile().record(dvc_stages(open_repo())["split@a"])
    assert LOCK.read_text() == text
    assert LOCK.stat().st_ino != inode


def test_an_entry_that_somebody_else_wrote_meanwhile_stays(pipeline: Pipeline) -> None:
    mine = LockFile()
    stages = dvc_stages(open_repo())
    mine.record(stages["split@a"])
    text = LOCK.read_text()
    LOCK.write_text(text.replace("exec python stage.py clean b", "exec python stage.py clean x"))
    mine.record(stages["split@a"])
    assert "exec python stage.py clean x" in LOCK.read_text()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is empty"),
        ("schema: '2.0'\nstages:\n<<<<<<< HEAD\n", "it holds the marks of a merge"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: 'x\n", "it is no YAML: "),
        ("schema: '2.0'\nstages:\n  a:\n", "it is cut off: "),
        ("schema: '2.0'\nstages: {}\n", None),
    ],
)
def test_what_is_wrong_with_a_lock(text: str, fault: str | None) -> None:
    found = fault_of(text)
    assert found == fault or (fault and found and found.startswith(fault))


TEARS = {
    "cut in the middle of a value": lambda text: text[: text.index("md5: ") + 12],
    "cut behind a key": lambda text: text[: text.rindex("outs:") + 5],
    "emptied": lambda _: "",
    "no UTF-8": lambda text: text[:200] + "\udcff",
    "in a merge": lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n",
}


@pytest.mark.parametrize("tear", TEARS)
def test_a_torn_lock_is_rebuilt_from_the_run_cache_without_running_anything(
    pipeline: Pipeline, reproduced: Pipeline, tear: str
) -> None:
    torn = TEARS[tear](LOCK.read_text()).encode("utf-8", "surrogateescape")
    LOCK.write_bytes(torn)
    recorder = Recorder()
    for name in load_graph().stages:
        assert recorder.begin(name) in ("fresh", "restored")
    assert pipeline.lock() == reproduced.lock()
    assert pipeline.ran() == []
    assert "up to date" in pipeline.dvc("status")


def test_the_last_commit_is_where_rebuilding_starts(
    pipeline: Pipeline, reproduced: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    person = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "add", "dvc.lock"], check=True)
    subprocess.run(["git", *person, "commit", "-qm", "lock"], check=True)
    LOCK.write_text("")
    rebuild()
    assert pipeline.lock() == reproduced.lock()
    assert capsys.readouterr().err == (
        "dvc.lock was torn (it is empty): rebuilt from the last commit and DVC's run cache; "
        "the torn one is .downstream/torn/dvc.lock\n"
    )
    assert (TORN / "dvc.lock").read_text() == ""
    rebuild()
    assert capsys.readouterr().err == ""


def test_no_lock_is_no_fault(new_pipeline: Pipeline) -> None:
    assert fault_of_lock() is None
