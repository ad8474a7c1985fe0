"""Tracked parameters are what DVC itself reads."""

from flows.dvc.declared import load_pipeline
from flows.dvc.graph import load_graph
from flows.dvc.tracked import TrackedParams
from tests.flows.pipeline import Pipeline


def test_the_values_are_the_ones_dvc_records(pipeline: Pipeline) -> None:
    pipeline.write(
        "params.yaml",
        (pipeline.root / "params.yaml").read_text().replace("rate: 0.5", "rate: 1e-3"),
    )
    graph = load_pipeline()
    (dependency,) = load_graph().stages["finetune@m"].params
    (values,) = TrackedParams(graph.repo).of(graph.stages["finetune@m"]).values()
    assert values == dependency.get_hash().value
    assert values["models.m.finetune"] == {"rate": 0.001}


def test_a_missing_key_is_left_out(pipeline: Pipeline) -> None:
    graph = load_pipeline()
    params = pipeline.params()
    del params["seed"]
    pipeline.write_params(params)
    found = TrackedParams(graph.repo).of(graph.stages["finetune@m"])
    assert found["params.yaml"].keys() == {"models.m.corpus", "models.m.finetune"}


def test_another_file_is_read_by_dvcs_parser_and_whole_where_no_key_is_named(
    pipeline: Pipeline,
) -> None:
    text = (pipeline.root / "dvc.yaml").read_text()
    pipeline.write("more.toml", "a = 1\n[b]\nc = 2\n")
    pipeline.write(
        "dvc.yaml", text.replace('params: [seed, "corpora', 'params: [more.toml: , seed, "corpora')
    )
    graph = load_pipeline()
    found = TrackedParams(graph.repo).of(graph.stages["split@a"])
    assert found["more.toml"] == {"a": 1, "b": {"c": 2}}
    assert found["params.yaml"].keys() == {"seed", "corpora.a.split"}
