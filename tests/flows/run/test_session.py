"""What a run does for one stage, without Prefect."""

import json
from pathlib import Path

import pytest

from flows.run.session import Options, Session
from tasks.errors import DownstreamError, StageFailed
from tests.flows.pipeline import Pipeline


def session(pipeline: Pipeline, *targets: str, force: bool = False) -> Session:
    return Session(Options(targets, force=force), pipeline.codes(), pipeline.devices_of)


def names(running: Session) -> list[str]:
    return [stage.name for stage in running.stages]


def test_what_is_not_fresh_is_to_be_looked_at(pipeline: Pipeline) -> None:
    assert names(session(pipeline)) == []
    pipeline.change("models.m.finetune.rate", 0.7)
    assert names(session(pipeline)) == ["finetune@m", "evaluate@m"]
    assert names(session(pipeline, "split")) == []


def test_a_gpu_stage_is_known_with_the_devices_that_it_asks_for(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune", {"rate": 0.7, "devices": 2})
    pipeline.change("corpora.b.clean", {"drop": 1})
    assert session(pipeline).gpu == {
        "finetune@m": 2, "evaluate@m": 1, "finetune@n": 1, "evaluate@n": 1,
    }  # fmt: skip


def test_force_runs_the_targets_alone_or_everything(pipeline: Pipeline) -> None:
    assert names(session(pipeline, "split@a", force=True)) == ["split@a"]
    assert names(session(pipeline, "split", force=True)) == ["split@a", "split@b"]
    assert len(names(session(pipeline, force=True))) == 8


def test_each_line_of_a_stage_has_its_name_in_front(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.change("corpora.a.clean", {"drop": 1})
    heard: list[str] = []
    running = session(pipeline)
    capsys.readouterr()
    assert running.perform("clean@a", heard.append) == "ran"
    assert heard == ["working on a"]
    started, working, done = capsys.readouterr().err.splitlines()
    assert (started, working) == ("clean@a    | started", "clean@a    | working on a")
    assert done.startswith("clean@a    | done in ")
    assert running.perform("clean@a", heard.append) == "fresh"


def test_a_failure_releases_the_stages_files(pipeline: Pipeline) -> None:
    pipeline.change("corpora.a.clean", {"fail": True})
    running = session(pipeline)
    with pytest.raises(StageFailed, match=r"^clean@a failed: the row is bad: mend it$"):
        running.perform("clean@a", print)
    pipeline.change("corpora.a.clean", {})
    pipeline.repro()


def test_an_unknown_target_starts_nothing(pipeline: Pipeline) -> None:
    pipeline.write("modules/clean.py", "clean = 2\n")
    before = pipeline.lock()
    with pytest.raises(DownstreamError, match="no stage 'evalute'"):
        session(pipeline, "evalute")
    assert pipeline.lock() == before


def test_after_an_upgrade_of_a_named_library_the_fingerprints_are_written_anew(
    pipeline: Pipeline,
) -> None:
    pipeline.write("installed.json", json.dumps({"torch": "2.13.0"}))
    pipeline.change("libraries", ["torch"])
    pipeline.repro()
    pipeline.write("installed.json", json.dumps({"torch": "2.14.0"}))
    running = session(pipeline, "clean@a")
    assert Path("data/code/clean/a.txt").read_text().endswith("library:torch 2.14.0\n")
    assert names(running) == ["clean@a"]
    assert running.perform("clean@a", on_line=lambda _: None) == "ran"
    running.end()
    assert pipeline.plan("clean@a").unfresh == []


def test_an_edit_in_the_last_moments_of_the_code_stage_is_found_and_mended(
    pipeline: Pipeline,
) -> None:
    make_code = (pipeline.root / "make_code.py").read_text()
    late = "Path('modules/clean.py').write_text('clean = 3')"
    pipeline.write("make_code.py", f"{make_code}\n{late}\n")
    pipeline.write("modules/clean.py", "clean = 2")
    pipeline.repro()
    assert pipeline.ran()[:1] == ["clean@a"]
    pipeline.write("make_code.py", make_code)
    # DVC hashes modules/ after the stage has read it, and takes the edit for what was read.
    assert "up to date" in pipeline.dvc("status")
    assert pipeline.states().keys() >= {"clean@a", "clean@b"}
    running = session(pipeline)
    assert [running.perform(name, print) for name in names(running)][:2] == ["ran", "ran"]
    running.end()
    assert pipeline.states() == {}
    assert "up to date" in pipeline.dvc("status")


def test_a_run_with_nothing_to_do_makes_none_of_dvcs_stage_objects(pipeline: Pipeline) -> None:
    running = session(pipeline)
    running.begin()
    assert "recorder" not in vars(running)
    pipeline.write("modules/clean.py", "clean = 2\n")
    assert "recorder" in vars(session(pipeline))


def test_a_torn_lock_is_rebuilt_before_it_is_planned(pipeline: Pipeline) -> None:
    pipeline.write("dvc.lock", "")
    assert {stage.state for stage in session(pipeline).stages} == {"cached"}
