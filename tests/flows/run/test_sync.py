"""MLflow brought in step with the workspace; ``tests/test_pipeline.py`` has the whole of it."""

import shutil

import pytest

from flows.cli.app import sync
from flows.run.sync import evaluations, reconcile_workspace, registered
from tasks.contracts.lock import read_lock
from tasks.errors import Unreachable
from tasks.stage_process.stage_hash import entry_hash
from tests.flows.pipeline import Pipeline


def register(pipeline: Pipeline, *models: str) -> None:
    for model in models:
        pipeline.write(f"data/register/{model}/version.json", "{}")


def test_an_evaluation_is_known_by_its_stage_hash(pipeline: Pipeline) -> None:
    lock = read_lock()
    assert evaluations(["m", "n", "unknown"]) == {
        model: entry_hash(lock[f"evaluate@{model}"]) for model in ("m", "n")
    }


def test_metrics_that_dvc_does_not_know_are_of_no_evaluation(pipeline: Pipeline) -> None:
    pipeline.write("data/evaluate/m/metrics.json", "{}")
    shutil.rmtree(pipeline.root / "data/evaluate/n")
    assert evaluations(["m", "n"]) == {}


def test_models_that_were_not_registered_cost_no_store(pipeline: Pipeline) -> None:
    register(pipeline, "n")
    assert registered(["m", "n"]) == ["n"]
    assert reconcile_workspace(["m"]) == {"m": None}
    assert not (pipeline.root / "mlflow.db").exists()


def test_a_server_that_is_away_is_an_error_of_one_line(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"no MLflow server answers at http://127\.0\.0\.1:9"):
        sync()
