"""Predicted contents are the ones that DVC finds once they are there."""

from flows.dvc.contents import content_on_disk, text_content
from flows.dvc.graph import load_graph
from flows.plan.forecast import Forecast
from tests.flows.pipeline import Pipeline

CODE = "data/code/clean/a.txt"
CLEANED = "data/clean/a/records.parquet"


def test_a_text_in_memory_has_the_hash_of_its_file(pipeline: Pipeline) -> None:
    graph = load_graph()
    forecast = Forecast(graph, pipeline.codes())
    assert forecast.content(CODE) == text_content(pipeline.codes()["clean@a"])
    assert forecast.content(CODE) == content_on_disk(graph.repo, CODE)
    assert forecast.content(CODE).md5 == graph.stages["clean@a"].record.dependencies[CODE]


def test_the_output_of_a_stage_that_runs_is_unknown_and_its_maker_is_named(
    pipeline: Pipeline,
) -> None:
    graph = load_graph()
    forecast = Forecast(graph, pipeline.codes())
    assert forecast.content(CLEANED) == content_on_disk(graph.repo, CLEANED)
    forecast.rewrite(graph.stages["clean@a"])
    assert forecast.content(CLEANED) is None
    assert forecast.content("data/clean/a") is None
    assert forecast.content("data/split/a/train.parquet") is not None
    assert forecast.makers(CLEANED) == ["clean@a"]


def test_what_is_restored_is_known(pipeline: Pipeline) -> None:
    graph = load_graph()
    forecast = Forecast(graph, pipeline.codes())
    clean = graph.stages["clean@a"]
    forecast.rewrite(clean, {CLEANED: text_content("restored")})
    assert forecast.content(CLEANED) == text_content("restored")
