"""Parameters are read once, and as DVC reads them."""

from pathlib import Path
from typing import Any

import pytest
from dvc.dependency import ParamsDependency

from flows.dvc.graph import load_graph
from flows.dvc.params_once import ParamsOnce
from tests.flows.pipeline import Pipeline


def dependencies() -> list[Any]:
    stages = load_graph().stages.values()
    ParamsOnce().serve(stages)
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
    from dvc.utils import serialize

    parsed = []
    load = serialize.load_path
    monkeypatch.setattr(serialize, "load_path", lambda *a, **k: parsed.append(1) or load(*a, **k))
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
    params = pipeline.params()
    del params["models"]["m"]["finetune"]
    pipeline.write_params(params)
    assert "models.m.finetune" not in finetune.read_params()
    pipeline.write("params.yaml", "seed: [")
    with pytest.raises(Exception, match="Unable to read parameters"):
        finetune.read_params()
