"""The identity of a result is DVC's own."""

from dvc.stage.cache import _get_stage_hash

from flows.forecast import Forecast
from flows.graph import load_graph
from flows.restore import restorable_outputs
from tasks.workspace.stage_hash import stage_hash
from tests.flows.pipeline import Pipeline


def test_the_stage_hash_is_dvcs_run_cache_key(pipeline: Pipeline) -> None:
    graph = load_graph()
    names = graph.planned()
    hashes = [stage_hash(graph.stages[name]) for name in names]
    assert hashes == [_get_stage_hash(graph.stages[name]) for name in names]
    assert len(set(hashes)) == len(names)
    assert all((pipeline.root / f".dvc/cache/runs/{key[:2]}/{key}").is_dir() for key in hashes)


def test_inputs_of_no_earlier_run_restore_nothing(pipeline: Pipeline) -> None:
    graph = load_graph()
    forecast = Forecast(graph, pipeline.codes())
    stage = graph.stages["finetune@m"]
    params = {"seed": 0, "models.m.corpus": "a", "models.m.finetune": {"rate": 0.5}}
    known = restorable_outputs(stage, forecast, {"params.yaml": params}, unchanged=False)
    assert [out.def_path for out in known] == ["data/finetune/m/model"]
    params["models.m.finetune"] = {"rate": 0.9}
    assert restorable_outputs(stage, forecast, {"params.yaml": params}, unchanged=False) == []
