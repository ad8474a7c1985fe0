"""What may be accepted under new code, what is refused, and what is on record afterwards."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.dvc.graph import load_graph
from flows.dvc.internals import dvc_stages, hold_files, open_repo
from flows.plan.reasons import Reason
from flows.upkeep.accept import accept, beyond_code
from tasks.contracts.acceptances import LOGS
from tasks.errors import BadInput, DownstreamError, StageFailed
from tasks.fingerprint import libraries
from tasks.machine.libraries import versions_now
from tasks.stage_process.identity import snapshot_of
from tasks.stage_process.stage_hash import entry_hash
from tests.flows.pipeline import Pipeline


@pytest.fixture(autouse=True)
def this_python_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")


def edit_code(pipeline: Pipeline, module: str = "finetune") -> None:
    pipeline.write(f"modules/{module}.py", f"{module} = 2\n")


def test_outputs_are_recorded_under_new_code_and_nothing_is_stale_after_it(
    pipeline: Pipeline,
) -> None:
    edit_code(pipeline)
    before = pipeline.lock()["stages"]
    old = entry_hash(before["finetune@m"])
    libraries.keep_versions("finetune@m", old)
    pipeline.write(f".downstream/identities/finetune@m/{old}.json", '{"snapshot": "1"}')
    (found,) = accept(("finetune@m",), " only  a\nnew name ", pipeline.codes())
    assert (found["stage"], found["changed"]) == ("finetune@m", ["modules.finetune"])
    assert pipeline.states() == {"finetune@n": "stale", "evaluate@n": "waiting"}
    accept(("finetune",), "the same", pipeline.codes())
    assert pipeline.states() == {}
    assert "up to date" in pipeline.dvc("status")
    pipeline.repro()
    assert pipeline.ran() == []
    after = pipeline.lock()["stages"]
    assert after["finetune@m"]["outs"] == before["finetune@m"]["outs"]
    assert found["old_hash"] == old
    assert found["new_hash"] == entry_hash(after["finetune@m"])
    assert libraries.versions_then("finetune@m", found["new_hash"]) == versions_now()
    assert snapshot_of("finetune@m", found["new_hash"]) == "1"


def test_the_lock_is_the_one_that_a_rerun_would_have_written(pipeline: Pipeline) -> None:
    edit_code(pipeline)
    other = pipeline.copy_to(pipeline.root.parent / "other")
    other.repro()
    accept(("finetune",), "the outputs are the same", pipeline.codes())
    assert pipeline.lock() == other.lock()


def test_it_is_on_record_in_two_files_who_said_so_and_why(pipeline: Pipeline) -> None:
    edit_code(pipeline)
    accept(("finetune@m",), "only a new name", pipeline.codes())
    accept(("finetune@n",), "the same, ünd: ⚙", pipeline.codes())
    one, other = (path.read_text(encoding="utf-8") for path in LOGS)
    assert one == other
    lines = [json.loads(line) for line in one.splitlines()]
    assert [line["stage"] for line in lines] == ["finetune@m", "finetune@n"]
    assert [line["reason"] for line in lines] == ["only a new name", "the same, ünd: ⚙"]
    assert lines[0].keys() == {
        "stage", "old_hash", "new_hash", "changed", "time", "who", "commit", "reason",
    }  # fmt: skip
    assert lines[0]["who"]
    assert LOGS[0] == Path("accepted.jsonl")


def test_a_changed_default_is_accepted_like_code(pipeline: Pipeline) -> None:
    pipeline.write("modules/defaults.json", json.dumps({"finetune": {"epochs": 5}}))
    found = accept(("finetune",), "not used here", pipeline.codes())
    assert [one["changed"] for one in found] == [
        ["models.m.finetune.epochs"], ["models.n.finetune.epochs"],
    ]  # fmt: skip
    assert pipeline.states() == {}


def test_a_file_that_a_fingerprint_names_is_code_only_if_it_is_one_of_ours() -> None:
    reasons = [
        Reason("code", "tasks.evaluate.stage", "a", "b"),
        Reason("code", "tasks/evaluate/card.html.j2", None, "b"),
        Reason("code", "data/sources/reuters-bert/pin.json", "a", "b"),
    ]
    assert beyond_code(reasons) == ["code data/sources/reuters-bert/pin.json: a → b"]


def test_an_accepted_result_is_in_the_run_cache_under_its_new_identity(pipeline: Pipeline) -> None:
    edit_code(pipeline)
    accept(("finetune",), "the same", pipeline.codes())
    pipeline.change("models.m.finetune.rate", 0.7)
    pipeline.repro()
    pipeline.ran()
    pipeline.change("models.m.finetune.rate", 0.5)
    assert pipeline.states()["finetune@m"] == "cached"


def change_source(pipeline: Pipeline) -> None:
    pipeline.write("data/sources/a/records.csv", "a,2\n")


def change_parameter(pipeline: Pipeline) -> None:
    pipeline.change("corpora.a.clean.drop", 1)


def change_command(pipeline: Pipeline) -> None:
    text = (pipeline.root / "dvc.yaml").read_text()
    pipeline.write("dvc.yaml", text.replace("stage.py clean", "./stage.py clean"))


def edit_output(pipeline: Pipeline) -> None:
    pipeline.write("data/clean/a/report.json", "edited")


def delete_output(pipeline: Pipeline) -> None:
    Path("data/clean/a/report.json").unlink()


def lose_cache(pipeline: Pipeline) -> None:
    shutil.rmtree(".dvc/cache/files")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (change_source, "data data/sources/a: "),
        (change_parameter, "corpora.a.clean.drop: (not set) → 1"),
        (change_command, "command: exec python stage.py clean a → exec python ./stage.py clean a"),
        (edit_output, "changed on disk: data/clean/a/report.json"),
        (delete_output, "deleted: data/clean/a/report.json"),
        (lose_cache, "not in DVC's cache: data/clean/a/records.parquet"),
    ],
)
def test_more_than_code_is_refused_by_name_and_nothing_is_written(
    pipeline: Pipeline, change: Callable[[Pipeline], None], told: str
) -> None:
    edit_code(pipeline, "clean")
    change(pipeline)
    lock = Path("dvc.lock").read_bytes()
    targets = ("clean@a",) if change in (change_command, lose_cache) else ("clean@b", "clean@a")
    with pytest.raises(BadInput) as error:
        accept(targets, "they are good", pipeline.codes())
    assert str(error.value).startswith("clean@a: not only its code differs: ")
    assert told in str(error.value)
    assert Path("dvc.lock").read_bytes() == lock
    assert not any(path.exists() for path in LOGS)


@pytest.mark.parametrize(
    ("targets", "reason", "message"),
    [
        (("finetune@m",), " \n", "--reason: expected a text"),
        (("finetnue",), "good", "no stage 'finetnue' .*; did you mean 'finetune'?"),
        (("finetune@k",), "good", "finetune has no row 'k'; allowed: m, n"),
        (("clean",), "good", "clean@a, clean@b: fresh already, nothing to accept"),
    ],
)
def test_a_users_mistake_is_told(
    pipeline: Pipeline, targets: tuple[str, ...], reason: str, message: str
) -> None:
    edit_code(pipeline)
    with pytest.raises(DownstreamError, match=f"^{message}"):
        accept(targets, reason, pipeline.codes())


def test_a_stage_that_never_ran_has_nothing_to_accept(pipeline: Pipeline) -> None:
    pipeline.change("models.k", {"corpus": "a", "finetune": {"rate": 1.0}, "evaluate": {}})
    with pytest.raises(BadInput, match=r"^finetune@k never ran: .*`downstream run finetune@k`$"):
        accept(("finetune@k",), "good", pipeline.codes())


def test_a_stage_that_another_process_works_on_is_not_accepted(pipeline: Pipeline) -> None:
    edit_code(pipeline)
    held = dvc_stages(open_repo())["finetune@m"]
    with hold_files(held), pytest.raises(StageFailed, match="another process works on these"):
        accept(("finetune@m",), "good", pipeline.codes())
    assert load_graph().stages["finetune@m"].record is not None
