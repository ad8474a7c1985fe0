"""The identity of a result is DVC's own."""

from dvc.stage.cache import _get_stage_hash

from flows.dvc.contents import content_on_disk
from flows.dvc.graph import load_graph
from flows.dvc.internals import dvc_stages
from flows.dvc.params import ParameterFiles
from flows.dvc.run_cache import planned_hash, recorded_outputs, restorable_outputs
from tasks.stage_process.stage_hash import entry_hash, stage_hash
from tests.flows.pipeline import Pipeline


def test_the_stage_hash_is_dvcs_run_cache_key_however_it_is_computed(pipeline: Pipeline) -> None:
    graph = load_graph()
    names, theirs = graph.planned(), dvc_stages(graph.repo)
    hashes = [stage_hash(theirs[name]) for name in names]
    assert hashes == [_get_stage_hash(theirs[name]) for name in names]
    assert len(set(hashes)) == len(names)
    assert all((pipeline.root / f".dvc/cache/runs/{key[:2]}/{key}").is_dir() for key in hashes)
    parameters = ParameterFiles(graph.repo)
    for name, expected in zip(names, hashes, strict=True):
        stage = graph.stages[name]
        inputs = {path: content_on_disk(graph.repo, path) for path in stage.dependencies}
        assert planned_hash(stage, inputs, parameters.of(stage)) == expected
        assert entry_hash(graph.lock[name]) == expected


def test_inputs_of_no_earlier_run_restore_nothing(pipeline: Pipeline) -> None:
    graph = load_graph()
    stage = graph.stages["finetune@m"]
    inputs = {path: content_on_disk(graph.repo, path) for path in stage.dependencies}
    params = {"seed": 0, "models.m.corpus": "a", "models.m.finetune": {"rate": 0.5}}
    known = restorable_outputs(graph.repo, stage, inputs, {"params.yaml": params})
    assert known == recorded_outputs(
        graph.repo, stage, stage.record, dict.fromkeys(stage.record.outputs)
    )
    assert list(known) == ["data/finetune/m/model"]
    params["models.m.finetune"] = {"rate": 0.9}
    assert restorable_outputs(graph.repo, stage, inputs, {"params.yaml": params}) == {}
