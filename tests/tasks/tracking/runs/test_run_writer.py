"""Experiments are found, made and restored; what is long is sent in parts."""

from pathlib import Path

from tasks.tracking.runs.run_writer import (
    describe,
    ensure_experiment,
    find_or_create_run,
    log_metrics,
    metrics_of,
    texts_of,
    write_run,
)
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
        number = ensure_experiment(client, "topics")
        client.delete_experiment(number)
        assert ensure_experiment(client, "topics") == number
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
        describe(client, run_id, {**RECORD, "params": params})
        log_metrics(client, run_id, [("loss", float(n), n) for n in range(1500)])
        assert client.get_run(run_id).data.params == params
        assert len(client.get_metric_history(run_id, "loss")) == 1500


def test_numbers_are_found_at_any_depth() -> None:
    found = metrics_of({"accuracy": 0.5, "n_test": 3, "baselines": {"linear": {"accuracy": 1}}})
    assert found == [
        ("accuracy", 0.5, 0),
        ("n_test", 3.0, 0),
        ("baselines.linear.accuracy", 1.0, 0),
    ]


def test_an_interval_has_two_ends_and_any_other_list_is_a_curve() -> None:
    assert metrics_of({"intervals": {"ece": [0.1, 0.2]}, "loss": [3.0, 2.0]}) == [
        ("intervals.ece.low", 0.1, 0),
        ("intervals.ece.high", 0.2, 0),
        ("loss", 3.0, 0),
        ("loss", 2.0, 1),
    ]


def test_what_is_no_finite_number_is_left_out() -> None:
    values = {"a": None, "b": "text", "c": True, "d": float("nan"), "e": [1.0, None], "f": []}
    assert metrics_of(values) == [("e", 1.0, 0)]


def test_settings_become_texts() -> None:
    found = texts_of({"rate": 0.1, "model": {"layers": 4}, "names": ["a", "b"], "off": None})
    assert found == {"rate": "0.1", "model.layers": "4", "names": "['a', 'b']", "off": "None"}
