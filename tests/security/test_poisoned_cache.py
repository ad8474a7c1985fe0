"""A DVC cache that others can write to: nothing of it is laid out outside of an output."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from flows.dvc.recorder import Recorder
from flows.dvc.trees import require_lock_inside
from tasks.errors import StageFailed
from tests.flows.dvc.test_recorder import bring_all, this_python_first
from tests.flows.pipeline import Pipeline

__all__ = ["this_python_first"]

ESCAPES = ["../planted", "a/../../planted", "/root/downstream-planted", "..", ""]


def store(pipeline: Pipeline, content: bytes, suffix: str = "") -> str:
    """Put an object into DVC's cache under its true hash."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    path = pipeline.root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / f"{md5[2:]}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"{md5}{suffix}"


def poisoned(pipeline: Pipeline, relpath: str) -> str:
    """Put a folder into the cache that has a file at a path of the attacker's."""
    listed = [{"md5": store(pipeline, b"evil"), "relpath": relpath}]
    return store(pipeline, json.dumps(listed).encode(), ".dir")


def poison_run_cache(pipeline: Pipeline, output: str, md5: str) -> None:
    """Have every result of an output be a folder of the attacker's."""
    for path in (pipeline.root / ".dvc" / "cache" / "runs").glob("*/*/*"):
        entry = yaml.safe_load(path.read_text())
        for out in entry["outs"]:
            if out["path"] == output:
                out["md5"] = md5
                out.pop("size", None)
                path.chmod(0o644)
                path.write_text(yaml.safe_dump(entry))


@pytest.mark.parametrize("relpath", ESCAPES)
def test_a_result_that_would_be_written_outside_is_not_restored(
    pipeline: Pipeline, relpath: str
) -> None:
    output = "data/finetune/m/model"
    poison_run_cache(pipeline, output, poisoned(pipeline, relpath))
    pipeline.write("dvc.lock", "schema: '2.0'\nstages: {}\n")
    with pytest.raises(StageFailed, match=r"would be written outside of it: .*\.dir\. Nothing was"):
        bring_all(Recorder())
    assert not Path("data/finetune/m/planted").exists()
    assert not Path("data/finetune/planted").exists()
    assert not Path("/root/downstream-planted").exists()


def test_a_lock_that_names_such_a_folder_is_not_checked_out(pipeline: Pipeline) -> None:
    lock = pipeline.lock()
    lock["stages"]["finetune@m"]["outs"][0]["md5"] = poisoned(pipeline, "../planted")
    pipeline.write("dvc.lock", yaml.safe_dump(lock))
    with pytest.raises(StageFailed, match="would be written outside of it"):
        require_lock_inside(pipeline.root)


def test_a_hash_that_is_a_path_is_refused(pipeline: Pipeline) -> None:
    lock = pipeline.lock()
    lock["stages"]["finetune@m"]["outs"][0]["md5"] = "../../../../etc/passwd"
    pipeline.write("dvc.lock", yaml.safe_dump(lock))
    with pytest.raises(StageFailed, match="is no hash of DVC's"):
        require_lock_inside(pipeline.root)


def test_a_sound_workspace_passes(pipeline: Pipeline) -> None:
    require_lock_inside(pipeline.root)
    pipeline.write("dvc.lock", "schema: '2.0'\nstages: {}\n")
    assert set(bring_all(Recorder()).values()) <= {"restored", "fresh", "ran"}
