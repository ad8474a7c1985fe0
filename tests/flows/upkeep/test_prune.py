"""What goes, and what stays whatever happens."""

import json
import os
from pathlib import Path

import pytest
from filelock import FileLock

from flows.dvc.graph import load_graph
from flows.upkeep.prune import find_lock_entries, find_removals, remove, size_of
from tasks.fingerprint import libraries
from tasks.stage_process import kept_results
from tasks.stage_process.stage_hash import entry_hash
from tests.flows.pipeline import PARAMS, Pipeline


@pytest.fixture
def without_n(pipeline: Pipeline) -> Pipeline:
    """The model ``n`` is gone from params.yaml; what it left is there."""
    for name in ("finetune@m", "finetune@n"):
        pipeline.write(f".downstream/durations/{name}.json", '{"seconds": 1}')
        pipeline.write(f".downstream/checkpoints/{name}/abc/step.json", "{}")
        pipeline.write(f".downstream/finished/{name}/abc/record.json", "{}")
        pipeline.write(f".downstream/locks/{name}.lock", "")
        pipeline.write(f".downstream/executed/{name}/abc.json", "{}")
        pipeline.write(f".downstream/probes/{name}/abc.json", "{}")
    pipeline.write(".downstream/devices/cpu.lock", "")
    pipeline.write(".downstream/mlflow/outbox/1/record.json", "{}")
    pipeline.write_params({**PARAMS, "models": {"m": PARAMS["models"]["m"]}})
    return pipeline


def removed_now() -> set[str]:
    graph = load_graph()
    return {removal.path.as_posix() for removal in remove(graph, find_removals(graph))}


GONE = {
    "data/finetune/n",
    "data/evaluate/n",
    ".downstream/durations/finetune@n.json",
    ".downstream/checkpoints/finetune@n",
    ".downstream/finished/finetune@n",
    ".downstream/locks/finetune@n.lock",
    ".downstream/executed/finetune@n",
    ".downstream/probes/finetune@n",
}


def test_all_of_a_gone_row_goes_and_the_other_rows_stay_fresh(without_n: Pipeline) -> None:
    lock = without_n.lock()["stages"]
    assert removed_now() == GONE
    assert not any(Path(path).exists() for path in GONE)
    kept = {name: entry for name, entry in lock.items() if name not in ("finetune@n", "evaluate@n")}
    assert without_n.lock() == {"schema": "2.0", "stages": kept}
    for path in (
        "checkpoints/finetune@m/abc/step.json", "finished/finetune@m/abc/record.json",
        "durations/finetune@m.json", "devices/cpu.lock", "mlflow/outbox/1/record.json",
        "executed/finetune@m/abc.json", "probes/finetune@m/abc.json",
    ):  # fmt: skip
        assert (Path(".downstream") / path).exists()
    assert Path("data/sources/b/records.csv").exists()
    assert without_n.states() == {}
    without_n.repro()
    assert without_n.ran() == []
    assert removed_now() == set()


def test_what_is_told_of_a_corpus_goes_with_its_row(pipeline: Pipeline) -> None:
    for corpus in ("a", "gone"):
        pipeline.write(f".downstream/validate/{corpus}/result.json", "{}")
        pipeline.write(f".downstream/docs/{corpus}/index.html", "")
        pipeline.write(f".downstream/labels/{corpus}.csv", "")
        pipeline.write(f".downstream/shards/clean@{corpus}/key.hash.parquet", "")
    assert removed_now() == {
        ".downstream/shards/clean@gone",
        ".downstream/validate/gone",
        ".downstream/docs/gone",
        ".downstream/labels/gone.csv",
    }


def test_a_lock_that_somebody_laid_out_otherwise_is_cleaned_too(without_n: Pipeline) -> None:
    lock = without_n.lock()
    Path("dvc.lock").write_text(json.dumps(lock))
    removed_now()
    assert set(lock["stages"]) - set(without_n.lock()["stages"]) == {"finetune@n", "evaluate@n"}


def test_looking_removes_nothing(without_n: Pipeline) -> None:
    lock = Path("dvc.lock").read_bytes()
    graph = load_graph()
    assert {removal.path.as_posix() for removal in find_removals(graph)} == GONE
    assert find_lock_entries(graph) == ["finetune@n", "evaluate@n"]
    assert Path("dvc.lock").read_bytes() == lock
    assert all(Path(path).exists() for path in GONE)


def test_what_a_running_process_holds_is_left_and_told(
    without_n: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(kept_results.work_lock("finetune@n")):
        assert removed_now() == {"data/evaluate/n"}
    assert Path("data/finetune/n").exists()
    assert "data/finetune/n: left, since finetune@n is running" in capsys.readouterr().err


def test_a_kept_result_goes_once_the_lock_has_it(pipeline: Pipeline) -> None:
    known = entry_hash(pipeline.lock()["stages"]["finetune@m"])
    for stage_hash in (known, "f" * 64):
        pipeline.write(f".downstream/finished/finetune@m/{stage_hash}/record.json", "{}")
    assert removed_now() == {f".downstream/finished/finetune@m/{known}"}


def test_versions_stay_with_their_results_and_definitions_with_their_code(
    pipeline: Pipeline,
) -> None:
    known = entry_hash(pipeline.lock()["stages"]["finetune@m"])
    libraries.keep_versions("finetune@m", known)
    libraries.keep_versions("finetune@m", "f" * 64)
    module = Path("data/code/clean/a.txt").read_text().split()[-1]
    for name in (module, "0" * 32):
        pipeline.write(f".downstream/definitions/{name}.json", "{}")
    pipeline.write(".downstream/work/finetune@m/model/weights", "half")
    assert removed_now() == {
        f".downstream/libraries/finetune@m/{'f' * 64}.json",
        f".downstream/definitions/{'0' * 32}.json",
        ".downstream/work/finetune@m",
    }


def test_copies_of_the_code_go_but_the_last_ones_and_those_of_recorded_results(
    pipeline: Pipeline,
) -> None:
    known = entry_hash(pipeline.lock()["stages"]["finetune@m"])
    pipeline.write(f".downstream/identities/finetune@m/{known}.json", '{"snapshot": "1"}')
    for number in range(8):
        pipeline.write(f".downstream/snapshots/{number}/tasks/__init__.py", "")
        os.utime(f".downstream/snapshots/{number}", (number, number))
    assert removed_now() == {f".downstream/snapshots/{number}" for number in (0, 2)}


def test_a_size_is_that_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "one").write_bytes(b"x" * 1500)
    (tmp_path / "two").write_bytes(b"x" * 20)
    assert (size_of(tmp_path), size_of(tmp_path / "two")) == (1520, 20)
