"""The order of stages, and what targets select."""

import pytest

from flows.dvc.graph import load_graph
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


def test_a_torn_dvc_lock_is_one_line_that_names_it(pipeline: Pipeline) -> None:
    pipeline.write("dvc.lock", "schema: '2.0'\nstages: {clean@a: {cmd")
    with pytest.raises(BadSettings, match=r"^DVC cannot read this workspace: .*dvc\.lock.*$"):
        load_graph()
