"""Experiments are found, made and restored; what is long is sent in parts."""

from pathlib import Path

from tasks.tracking.runs.run_writer import experiment, fill, find_or_create_run, write_run
from tasks.tracking.store import opened

RECORD = {
    "experiment": "topics",
    "name": "pretrain@topics",
    "identity": {"downstream.stage_hash": "abc"},
    "tags": {"note": "kept"},
    "params": {"rate": "0.1"},
    "metrics": [["loss", 2.0, 0]],
}


def test_a_deleted_experiment_is_restored(workspace: Path) -> None:
    with opened() as client:
        number = experiment(client, "topics")
        client.delete_experiment(number)
        assert experiment(client, "topics") == number
        assert client.get_experiment(number).lifecycle_stage == "active"


def test_a_run_is_found_by_its_identity(workspace: Path) -> None:
    with opened() as client:
        first, finished = find_or_create_run(client, RECORD)
        assert not finished
        assert write_run(client, RECORD, Path("no-files")) == first
        assert find_or_create_run(client, RECORD) == (first, True)
        assert client.get_run(first).data.tags["note"] == "kept"


def test_more_than_mlflow_takes_at_once_is_sent_in_parts(workspace: Path) -> None:
    with opened() as client:
        run_id, _ = find_or_create_run(client, RECORD)
        params = {f"param{n}": str(n) for n in range(150)}
        fill(client, run_id, params, [("loss", float(n), n) for n in range(1500)])
        assert client.get_run(run_id).data.params == params
        assert len(client.get_metric_history(run_id, "loss")) == 1500
