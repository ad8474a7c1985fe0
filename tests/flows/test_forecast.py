"""Predicted contents are the ones that DVC finds once they are there."""

from flows.forecast import Forecast, content_on_disk, text_content
from flows.graph import load_graph
from tests.flows.pipeline import Pipeline


def test_a_text_in_memory_has_the_hash_of_its_file(pipeline: Pipeline) -> None:
    graph = load_graph()
    code = graph.stages["clean@a"].deps[0]
    assert code.def_path == "data/code/clean/a.txt"
    forecast = Forecast(graph, pipeline.codes())
    assert forecast.content(code) == text_content(pipeline.codes()["clean@a"])
    assert forecast.content(code).hash_info == content_on_disk(code).hash_info == code.hash_info


def test_the_output_of_a_stage_that_runs_is_unknown_and_its_maker_is_named(
    pipeline: Pipeline,
) -> None:
    graph = load_graph()
    forecast = Forecast(graph, pipeline.codes())
    split = graph.stages["split@a"]
    read = split.deps[1]
    assert forecast.content(read) == content_on_disk(read)
    forecast.rewrite(graph.stages["clean@a"])
    assert forecast.content(read) is None
    assert forecast.makers(split, read.def_path) == ["clean@a"]


def test_what_is_restored_is_known(pipeline: Pipeline) -> None:
    graph = load_graph()
    forecast = Forecast(graph, pipeline.codes())
    clean = graph.stages["clean@a"]
    forecast.rewrite(clean, clean.outs)
    content = forecast.content(graph.stages["split@a"].deps[1])
    assert content is not None
    assert content.md5 == pipeline.lock()["stages"]["clean@a"]["outs"][0]["md5"]


def test_a_file_that_is_not_there_has_no_hash(pipeline: Pipeline) -> None:
    graph = load_graph()
    (pipeline.root / "data/split/a/train.parquet").unlink()
    out = graph.stages["split@a"].outs[0]
    assert content_on_disk(out).md5 is None
