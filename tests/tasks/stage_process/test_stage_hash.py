"""The identity of a result is DVC's own run-cache key, read from a workspace as it lies there."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from tasks.errors import BadSettings
from tasks.stage_process.stage_hash import entry_hash, read_inputs

DVC = str(Path(sys.executable).parent / "dvc")
PIPELINE = """
stages:
  copy:
    cmd: cp in.txt out.txt
    params: [seed, rows.a]
    deps: [in.txt]
    outs: [out.txt]
    meta: {gpu: true}
"""


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("params.yaml").write_text("seed: 0\nrows: {a: 1, b: 2}\n")
    Path("in.txt").write_text("content")
    subprocess.run([DVC, "init", "--quiet", "--no-scm"], check=True)
    subprocess.run([DVC, "repro", "--quiet"], check=True)


def test_it_is_the_key_under_which_dvcs_run_cache_has_the_result() -> None:
    entry = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["copy"]
    before = yaml.safe_dump(entry)
    (key,) = (path.name for path in Path(".dvc/cache/runs").glob("*/*"))
    assert entry_hash(entry) == key
    assert yaml.safe_dump(entry) == before
    inputs = read_inputs("copy")
    assert (inputs.stage_hash, inputs.recorded) == (key, key)
    assert inputs.needs_device
    assert inputs.params == {"seed": 0, "rows.a": 1}


def test_what_changed_between_two_moments_is_named() -> None:
    before = read_inputs("copy")
    Path("params.yaml").write_text("seed: 1\nrows: {a: 1, b: 3}\n")
    Path("in.txt").write_text("other content")
    now = read_inputs("copy")
    assert before.differences(now) == ["in.txt", "seed"]
    assert now.stage_hash != before.stage_hash
    assert now.recorded == before.recorded


def test_a_lock_that_dvc_is_just_writing_is_waited_for() -> None:
    lock = Path("dvc.lock")
    whole = lock.read_text()
    lock.write_text(whole[: len(whole) // 2] + "\n  torn: [")

    def finish() -> None:
        time.sleep(0.5)
        lock.write_text(whole)

    writer = threading.Thread(target=finish)
    writer.start()
    assert read_inputs("copy").recorded is not None
    writer.join()


def test_a_stage_that_there_is_not_is_a_users_mistake() -> None:
    with pytest.raises(BadSettings, match="nothing"):
        read_inputs("nothing")
