"""The identity of a result is DVC's own."""

from dvc.stage.cache import _get_stage_hash

from flows.dvc.contents import content_on_disk
from flows.dvc.declared import load_pipeline
from flows.dvc.graph import load_graph
from flows.dvc.run_cache import planned_hash, recorded_outputs, restorable_outputs
from flows.dvc.tracked import TrackedParams
from tasks.stage_process.stage_hash import entry_hash, stage_hash
from tests.flows.pipeline import Pipeline


def test_the_stage_hash_is_dvcs_run_cache_key_however_it_is_computed(pipeline: Pipeline) -> None:
    ours, theirs = load_pipeline(), load_graph()
    names = theirs.planned()
    hashes = [stage_hash(theirs.stages[name]) for name in names]
    assert hashes == [_get_stage_hash(theirs.stages[name]) for name in names]
    assert len(set(hashes)) == len(names)
    assert all((pipeline.root / f".dvc/cache/runs/{key[:2]}/{key}").is_dir() for key in hashes)
    tracked = TrackedParams(ours.repo)
    for name, expected in zip(names, hashes, strict=True):
        stage = ours.stages[name]
        inputs = {path: content_on_disk(ours.repo, path) for path in stage.dependencies}
        assert planned_hash(stage, inputs, tracked.of(stage)) == expected
        assert entry_hash(dict(ours.lock[name])) == expected


def test_inputs_of_no_earlier_run_restore_nothing(pipeline: Pipeline) -> None:
    graph = load_pipeline()
    stage = graph.stages["finetune@m"]
    inputs = {path: content_on_disk(graph.repo, path) for path in stage.dependencies}
    params = {"seed": 0, "models.m.corpus": "a", "models.m.finetune": {"rate": 0.5}}
    known = restorable_outputs(graph.repo, stage, inputs, {"params.yaml": params})
    assert known == recorded_outputs(graph.repo, stage, stage.record)
    assert list(known) == ["data/finetune/m/model"]
    params["models.m.finetune"] = {"rate": 0.9}
    assert restorable_outputs(graph.repo, stage, inputs, {"params.yaml": params}) == {}
