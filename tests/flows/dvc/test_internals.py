"""DVC's undocumented names do what we use them for; an upgrade that changes one fails here."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException, OverlappingOutputPathsError
from dvc.lock import LockError

from flows.dvc import internals
from flows.dvc.internals import dvc_stages, open_repo
from tasks.contracts.lock import LOCK, read_lock
from tasks.errors import BadSettings, StageFailed
from tasks.stage_process.stage_hash import stage_hash
from tests.flows.pipeline import Pipeline

LOCK_ELSEWHERE = """
import sys
from flows.dvc.internals import open_repo

with open_repo().lock:
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_open_repo_waits_for_dvcs_lock(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    command = [sys.executable, "-c", LOCK_ELSEWHERE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        letting_go = threading.Timer(0.5, holder.stdin.close)
        letting_go.start()
        with open_repo().lock:
            assert letting_go.finished.is_set()


def test_resolved_entries_have_their_variables_filled_in(pipeline: Pipeline) -> None:
    entries = internals.resolved_entries(open_repo(), Path("dvc.yaml"))
    assert entries["clean@a"]["deps"] == ["data/code/clean/a.txt", "data/sources/a"]
    pipeline.write("dvc.yaml", "stages: {}\n")
    with pytest.raises(DvcException, match=r"^dvc\.yaml has no stages$"):
        internals.resolved_entries(open_repo(), Path("dvc.yaml"))


def test_dvc_stages_are_refused_where_their_outputs_overlap(pipeline: Pipeline) -> None:
    assert dvc_stages(open_repo())["clean@a"].cmd == "exec python stage.py clean a"
    inside = "data/clean/${key}/report.json/train"
    text = Path("dvc.yaml").read_text().replace("data/split/${key}/train", inside)
    pipeline.write("dvc.yaml", text)
    with pytest.raises(BadSettings, match=r"^DVC cannot read this workspace: ") as error:
        dvc_stages(open_repo())
    assert isinstance(error.value.__cause__, OverlappingOutputPathsError)


def test_hold_files_keeps_another_holder_off_until_it_is_left(pipeline: Pipeline) -> None:
    stages = dvc_stages(open_repo())
    with (
        internals.hold_files(stages["clean@a"]),
        pytest.raises(LockError, match="downstream run clean@a"),
        internals.hold_files(stages["split@a"]),
    ):
        pass
    with internals.hold_files(stages["split@a"]):
        assert internals.rwlock_file(open_repo()).is_file()


def test_lock_text_of_all_entries_is_the_lock_that_dvc_wrote(pipeline: Pipeline) -> None:
    assert internals.lock_text(read_lock()) == LOCK.read_text()
    stage = dvc_stages(open_repo())["split@a"]
    assert internals.lock_entries(stage) == {"split@a": read_lock()["split@a"]}


def test_dump_into_adds_an_entry_and_keeps_the_layout(pipeline: Pipeline) -> None:
    aside = Path("aside.lock")
    aside.write_text("# by hand\nschema: '2.0'\nstages: {}\n")
    internals.dump_into(aside, dvc_stages(open_repo())["split@a"])
    assert aside.read_text().startswith("# by hand\n")
    assert "clean/a/records.parquet" in aside.read_text()


def test_schema_fault_tells_the_first_thing_that_is_missing() -> None:
    assert internals.schema_fault({"schema": "2.0", "stages": {}}) is None
    assert "schema" in (internals.schema_fault({"stages": {}}) or "")


def test_run_cache_folder_is_where_dvc_has_put_the_result(pipeline: Pipeline) -> None:
    repo = open_repo()
    stage = dvc_stages(repo)["clean@a"]
    folder = internals.run_cache_folder(repo, stage_hash(stage))
    assert folder.is_relative_to(pipeline.root)
    assert len(list(folder.iterdir())) == 1
    assert str(folder) == repo.stage_cache._get_cache_dir(stage_hash(stage))


def test_serve_params_is_asked_before_dvc_parses_and_dvc_where_nobody_knows(
    pipeline: Pipeline,
) -> None:
    stage = dvc_stages(open_repo())["split@a"]
    (dependency,) = [item for item in stage.deps if isinstance(item, ParamsDependency)]
    internals.serve_params(stage, lambda asked: dict.fromkeys(asked.params, 7))
    assert dependency.get_hash().value == {"seed": 7, "corpora.a.split": 7}
    internals.serve_params(stage, lambda _: None)
    assert dependency.get_hash().value == {"seed": 0, "corpora.a.split": {}}


def test_load_parameter_file_reads_every_kind_that_dvc_does(pipeline: Pipeline) -> None:
    pipeline.write("more.toml", "a = 1\n")
    pipeline.write("more.json", '{"a": 1}')
    for path in ("more.toml", "more.json"):
        assert internals.load_parameter_file(open_repo(), path) == {"a": 1}


def test_dvc_errors_become_ours(pipeline: Pipeline) -> None:
    stage = dvc_stages(open_repo())["clean@a"]
    told = r"^another process works on these stages \(.*\): wait for its end, then try again$"
    with (
        internals.hold_files(stage),
        pytest.raises(StageFailed, match=told),
        internals.dvc_errors(),
        internals.hold_files(dvc_stages(open_repo())["split@a"]),
    ):
        pass
    unreadable = r"^DVC cannot read this workspace: two lines$"
    with pytest.raises(BadSettings, match=unreadable), internals.dvc_errors():
        raise DvcException("two\nlines")
