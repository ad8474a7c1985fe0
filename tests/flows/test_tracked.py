"""Tracked parameters are what DVC itself reads."""

from flows.graph import load_graph
from flows.tracked import TrackedParams
from tests.flows.pipeline import Pipeline


def test_the_values_are_the_ones_dvc_records(pipeline: Pipeline) -> None:
    pipeline.write(
        "params.yaml",
        (pipeline.root / "params.yaml").read_text().replace("rate: 0.5", "rate: 1e-3"),
    )
    stage = load_graph().stages["finetune@m"]
    (dependency,) = stage.params
    (values,) = TrackedParams().of(stage).values()
    assert values == dependency.get_hash().value
    assert values["models.m.finetune"] == {"rate": 0.001}


def test_a_missing_key_is_left_out(pipeline: Pipeline) -> None:
    stage = load_graph().stages["finetune@m"]
    params = pipeline.params()
    del params["seed"]
    pipeline.write_params(params)
    assert TrackedParams().of(stage)["params.yaml"].keys() == {
        "models.m.corpus",
        "models.m.finetune",
    }
