"""DVC's list of who reads and writes what: the dead hold nothing, the living all that they did."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.dvc.internals import dvc_stages, hold_files, open_repo, rwlock_file
from flows.dvc.recorder import Recorder
from flows.dvc.rwlock import mend_rwlock
from tests.flows.pipeline import Pipeline

SLEEP = [sys.executable, "-c", "import sys, time; time.sleep(60)", "repro", "clean@a"]


@pytest.fixture
def other_process() -> "Iterator[subprocess.Popen[bytes]]":
    """A live process that has the number of a dead one, and holds nothing."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def write_list(path: Path, pid: int, command: str) -> None:
    holder = {"pid": pid, "cmd": command}
    listed = {"write": {"/w/data": holder}, "read": {"/w/source": [holder]}}
    path.write_text(json.dumps(listed))


def held(path: Path) -> dict[str, Any]:
    return {key: value for key, value in json.loads(path.read_text()).items() if value}


def test_a_torn_list_of_readers_and_writers_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "rwlock"
    mend_rwlock(path)
    path.write_text('{"read": {}}')
    mend_rwlock(path)
    assert path.exists()
    for torn in ('{"read": {"/a', "[]", '{"write": {"/a": 3}}'):
        path.write_text(torn)
        mend_rwlock(path)
        assert not path.exists()


def test_a_run_does_not_wait_for_a_dead_process_whose_number_another_has(
    pipeline: Pipeline, other_process: "subprocess.Popen[bytes]"
) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    output = str(pipeline.root / "data/clean/a/records.parquet")
    holder = {"pid": other_process.pid, "cmd": "/usr/bin/dvc repro"}
    rwlock_file(open_repo()).write_text(json.dumps({"write": {output: holder}}))
    script = "from flows.dvc.recorder import Recorder\nprint(Recorder().begin('clean@a').name)\n"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "clean@a\n"
    assert "removed what '/usr/bin/dvc repro' held, which has ended" in done.stderr


def test_a_holder_that_dies_while_it_is_waited_for_is_noticed(pipeline: Pipeline) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    output = str(pipeline.root / "data/clean/a/records.parquet")
    recorder = Recorder()
    # It is never waited for by its parent, as in a container: a zombie has a number too.
    holder = subprocess.Popen(["sleep", "0.8"])
    try:
        tick = Path(f"/proc/{holder.pid}/stat").read_text().split()[21]
        entry = {"pid": holder.pid, "cmd": f"downstream run clean@a (tick {tick})"}
        rwlock_file(open_repo()).write_text(json.dumps({"write": {output: entry}}))
        assert recorder.begin("clean@a").name == "clean@a"  # type: ignore[union-attr]
    finally:
        holder.wait()


@pytest.mark.parametrize(
    ("command", "age_seconds", "stays"),
    [
        # Of ours: another start than that of the process which has the number now.
        ("downstream run clean@a (tick 1)", 0, False),
        # Of DVC's: the list is older than the process, which is another command too.
        ("/usr/bin/dvc repro evaluate", 3600, False),
        # It may be that command, or may have been there already.
        ("/usr/bin/dvc repro clean@a", 3600, True),
        ("/usr/bin/dvc repro evaluate", 0, True),
    ],
)
def test_an_entry_goes_only_where_its_process_is_certainly_another(
    command: str, age_seconds: float, stays: bool, tmp_path: Path
) -> None:
    path = tmp_path / "rwlock"
    with subprocess.Popen(SLEEP) as process:
        try:
            while not Path(f"/proc/{process.pid}/cmdline").read_bytes().endswith(b"clean@a\0"):
                time.sleep(0.01)
            write_list(path, process.pid, command)
            before = held(path)
            written = time.time() - age_seconds
            os.utime(path, (written, written))
            mend_rwlock(path)
            assert held(path) == (before if stays else {})
        finally:
            process.kill()


def test_what_this_process_holds_stays_whatever_the_clock_says(pipeline: Pipeline) -> None:
    stage = dvc_stages(open_repo())["clean@a"]
    path = rwlock_file(stage.repo)
    with hold_files(stage):
        before = held(path)
        os.utime(path, (0, 0))
        mend_rwlock(path)
        assert held(path) == before
        assert before["write"]
