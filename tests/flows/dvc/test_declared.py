"""The stages read for a plan are the ones that DVC reads."""

from pathlib import Path

import pytest

from flows.dvc.declared import Makers, Output, Stage, load_pipeline
from flows.dvc.graph import load_graph
from tasks.contracts.lock import LOCK, read_lock
from tasks.errors import BadSettings
from tests.flows.pipeline import Pipeline


def test_stages_dependencies_outputs_and_records_are_dvcs(pipeline: Pipeline) -> None:
    ours, theirs = load_pipeline(), load_graph()
    assert ours.stages.keys() == theirs.stages.keys()
    assert ours.upstream == theirs.upstream
    assert ours.planned() == theirs.planned()
    for name, stage in theirs.stages.items():
        mine: Stage = ours.stages[name]
        files = [dep for dep in stage.deps if dep not in stage.params]
        assert (mine.cmd, mine.meta) == (stage.cmd, stage.meta or {})
        assert sorted(mine.dependencies) == sorted(dep.def_path for dep in files)
        assert mine.params == {dep.def_path: list(dep.params) for dep in stage.params}
        assert {(out.path, out.cached, out.persistent) for out in mine.outputs} == {
            (out.def_path, bool(out.use_cache), bool(out.persist)) for out in stage.outs
        }
        assert mine.record is not None
        assert mine.record.command == stage.cmd
        assert mine.record.outputs == {out.def_path: out.hash_info.value for out in stage.outs}
        assert mine.record.dependencies == {dep.def_path: dep.hash_info.value for dep in files}
        assert mine.record.params == {dep.def_path: dep.hash_info.value for dep in stage.params}


def test_what_was_remembered_is_read_anew_after_an_edit(pipeline: Pipeline) -> None:
    assert "evaluate@k" not in load_pipeline().stages
    assert Path(".downstream/cache/pipeline.json").is_file()
    pipeline.change("models.k", {"corpus": "a", "finetune": {"rate": 1.0}, "evaluate": {}})
    assert "evaluate@k" in load_pipeline().stages
    LOCK.write_text("schema: '2.0'\nstages:\n  clean@a:\n    cmd: other\n")
    assert read_lock() == {"clean@a": {"cmd": "other"}}


def test_a_torn_lock_is_one_line_that_names_it_and_says_what_to_do(pipeline: Pipeline) -> None:
    LOCK.write_text("schema: '2.0'\nstages: {clean@a: {cmd")
    with pytest.raises(BadSettings, match=r"^DVC .* dvc\.lock is torn .*`downstream run` rebuilds"):
        load_pipeline()


def test_two_stages_that_write_one_path_are_told_by_name() -> None:
    stages = [Stage(name, "x", [], {}, [Output("data/x")]) for name in ("a", "b")]
    with pytest.raises(BadSettings) as error:
        Makers(stages)
    assert str(error.value) == ("dvc.yaml: b and a both write data/x: give each its own path")


def test_stages_that_depend_on_each_other_are_told(pipeline: Pipeline) -> None:
    text = Path("dvc.yaml").read_text()
    edited = text.replace(
        'deps: ["data/code/split/${key}.txt",',
        'deps: ["data/code/split/${key}.txt", "data/finetune/m/model",',
    )
    assert edited != text
    pipeline.write("dvc.yaml", edited)
    with pytest.raises(BadSettings, match="circle"):
        load_pipeline()


def test_makers_are_found_for_a_path_for_what_is_in_it_and_around_it() -> None:
    makers = Makers([Stage("a", "x", [], {}, [Output("data/a/model"), Output("data/a/x.json")])])
    assert makers.of("data/a/model/weights") == {"a"}
    assert makers.of("data/a/model") == {"a"}
    assert makers.of("data/a") == {"a"}
    assert makers.of("data/a/mod") == set()
