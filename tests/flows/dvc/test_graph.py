"""The stages are the ones that DVC reads; their order, and what targets select."""

from pathlib import Path

import pytest

from flows.dvc.graph import Makers, Output, Stage, load_graph
from flows.dvc.internals import dvc_stages, stage_name
from tasks.contracts.lock import LOCK
from tasks.errors import BadSettings, DownstreamError
from tests.flows.pipeline import Pipeline


def test_every_stage_comes_after_those_it_reads_from(pipeline: Pipeline) -> None:
    graph = load_graph()
    order = list(graph.stages)
    assert graph.upstream["finetune@m"] == ["code", "split@a"]
    assert all(order.index(up) < order.index(name) for name in order for up in graph.upstream[name])


def test_the_code_stage_is_not_planned(pipeline: Pipeline) -> None:
    assert load_graph().planned() == [
        "clean@a", "clean@b", "split@a", "split@b",
        "finetune@m", "finetune@n", "evaluate@m", "evaluate@n",
    ]  # fmt: skip


def test_a_stage_is_selected_with_all_that_lies_upstream_of_it(pipeline: Pipeline) -> None:
    assert load_graph().select(["finetune@m"]) == ["clean@a", "split@a", "finetune@m"]


def test_a_group_selects_all_its_rows(pipeline: Pipeline) -> None:
    assert load_graph().select(["split"]) == ["clean@a", "clean@b", "split@a", "split@b"]


def test_no_target_selects_everything(pipeline: Pipeline) -> None:
    graph = load_graph()
    assert graph.select([]) == graph.planned()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("evalute", "no stage 'evalute' in dvc.yaml; allowed: clean, evaluate, finetune, split; "
         "did you mean 'evaluate'?"),
        ("evaluate@mm", "evaluate has no row 'mm'; allowed: m, n; did you mean 'm'?"),
    ],
)  # fmt: skip
def test_an_unknown_target_is_told_with_what_was_meant(
    pipeline: Pipeline, target: str, message: str
) -> None:
    with pytest.raises(DownstreamError) as error:
        load_graph().select([target])
    assert str(error.value) == message


def test_a_dvc_yaml_that_dvc_cannot_read_is_one_line(pipeline: Pipeline) -> None:
    pipeline.write("dvc.yaml", "stages: [")
    with pytest.raises(BadSettings, match=r"^DVC cannot read this workspace: .*dvc\.yaml.*$"):
        load_graph()


def test_stages_dependencies_outputs_and_records_are_dvcs(pipeline: Pipeline) -> None:
    graph = load_graph()
    theirs = dvc_stages(graph.repo)
    assert graph.stages.keys() == theirs.keys()
    needs = graph.repo.index.graph
    for name, stage in theirs.items():
        mine = graph.stages[name]
        assert graph.upstream[name] == sorted(map(stage_name, needs.successors(stage)))
        files = [dep for dep in stage.deps if dep not in stage.params]
        assert (mine.command, mine.gpu) == (stage.cmd, (stage.meta or {}).get("gpu", False))
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
    assert "evaluate@k" not in load_graph().stages
    assert Path(".downstream/cache/pipeline.json").is_file()
    pipeline.change("models.k", {"corpus": "a", "finetune": {"rate": 1.0}, "evaluate": {}})
    assert "evaluate@k" in load_graph().stages


def test_a_torn_lock_is_one_line_that_names_it_and_says_what_to_do(pipeline: Pipeline) -> None:
    LOCK.write_text("schema: '2.0'\nstages: {clean@a: {cmd")
    with pytest.raises(BadSettings, match=r"^DVC .* dvc\.lock is torn .*`downstream run` rebuilds"):
        load_graph()


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
        load_graph()


def test_makers_are_found_for_a_path_for_what_is_in_it_and_around_it() -> None:
    makers = Makers([Stage("a", "x", [], {}, [Output("data/a/model"), Output("data/a/x.json")])])
    assert makers.of("data/a/model/weights") == {"a"}
    assert makers.of("data/a/model") == {"a"}
    assert makers.of("data/a") == {"a"}
    assert makers.of("data/a/mod") == set()


def test_variables_that_stand_in_dvc_yaml_itself_are_resolved_once(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Path("dvc.yaml").read_text()
    pipeline.write("dvc.yaml", f"vars:\n  - more: {{}}\n{written}")
    names = list(load_graph().stages)
    with monkeypatch.context() as patch:
        patch.setattr("flows.dvc.graph.resolved_entries", lambda *_: {})
        assert list(load_graph().stages) == names


@pytest.mark.parametrize("variables", ["vars: [more.yaml]", "vars:\n  - a: 1\n  - more.yaml"])
def test_variables_of_further_files_are_read_again(pipeline: Pipeline, variables: str) -> None:
    written = Path("dvc.yaml").read_text()
    more = "  more:\n    foreach: ${names}\n    do: {cmd: 'echo ${item}'}\n"
    pipeline.write("dvc.yaml", f"{variables}\n{written}{more}")
    pipeline.write("more.yaml", "names: [x]\n")
    assert "more@x" in load_graph().stages
    pipeline.write("more.yaml", "names: [y]\n")
    assert "more@y" in load_graph().stages
