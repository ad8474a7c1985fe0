"""Parameters are read once, and as DVC reads them."""

from pathlib import Path
from typing import Any

import pytest
from dvc.dependency import ParamsDependency

from flows.dvc import params
from flows.dvc.graph import load_graph
from flows.dvc.internals import dvc_stages, open_repo
from flows.dvc.params import ParameterFiles
from tasks.contracts.params import read_params
from tests.flows.pipeline import Pipeline


def dependencies() -> list[Any]:
    repo = open_repo()
    stages = dvc_stages(repo).values()
    ParameterFiles(repo).serve(stages)
    return [item for stage in stages for item in stage.deps if isinstance(item, ParamsDependency)]


def test_the_values_are_those_that_dvc_reads(pipeline: Pipeline) -> None:
    pipeline.change("models.m.finetune", {"rate": 1e-05, "list": [1, {"a": None}], "text": "no"})
    pipeline.write("params.yaml", Path("params.yaml").read_text() + "more: 1e-3\n")
    found = dependencies()
    assert len(found) == 8
    for dependency in found:
        assert dependency.read_params() == ParamsDependency.read_params(dependency)


def test_a_file_is_parsed_once_until_it_changes(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    monkeypatch.setattr(params, "read_params", lambda: parsed.append(1) or read_params())
    found = dependencies()
    parsed.clear()
    for dependency in found:
        dependency.read_params()
    assert len(parsed) == 1
    pipeline.change("models.m.finetune.rate", 0.25)
    values = {key: value for item in found for key, value in item.read_params().items()}
    assert (len(parsed), values["models.m.finetune"]) == (2, {"rate": 0.25})


def test_a_missing_key_and_a_broken_file_are_left_to_dvc(pipeline: Pipeline) -> None:
    (finetune,) = [item for item in dependencies() if "models.m.finetune" in item.params]
    without_finetune = pipeline.params()
    del without_finetune["models"]["m"]["finetune"]
    pipeline.write_params(without_finetune)
    assert "models.m.finetune" not in finetune.read_params()
    pipeline.write("params.yaml", "seed: [")
    with pytest.raises(Exception, match="Unable to read parameters"):
        finetune.read_params()


def test_the_values_are_the_ones_dvc_records(pipeline: Pipeline) -> None:
    pipeline.write(
        "params.yaml",
        (pipeline.root / "params.yaml").read_text().replace("rate: 0.5", "rate: 1e-3"),
    )
    graph = load_graph()
    (dependency,) = dvc_stages(graph.repo)["finetune@m"].params
    (values,) = ParameterFiles(graph.repo).of(graph.stages["finetune@m"]).values()
    assert values == dependency.get_hash().value
    assert values["models.m.finetune"] == {"rate": 0.001}


def test_a_missing_key_is_left_out(pipeline: Pipeline) -> None:
    graph = load_graph()
    without_seed = pipeline.params()
    del without_seed["seed"]
    pipeline.write_params(without_seed)
    found = ParameterFiles(graph.repo).of(graph.stages["finetune@m"])
    assert found["params.yaml"].keys() == {"models.m.corpus", "models.m.finetune"}


def test_another_file_is_read_by_dvcs_parser_and_whole_where_no_key_is_named(
    pipeline: Pipeline,
) -> None:
    text = (pipeline.root / "dvc.yaml").read_text()
    pipeline.write("more.toml", "a = 1\n[b]\nc = 2\n")
    pipeline.write(
        "dvc.yaml", text.replace('params: [seed, "corpora', 'params: [more.toml: , seed, "corpora')
    )
    graph = load_graph()
    found = ParameterFiles(graph.repo).of(graph.stages["split@a"])
    assert found["more.toml"] == {"a": 1, "b": {"c": 2}}
    assert found["params.yaml"].keys() == {"seed", "corpora.a.split"}
