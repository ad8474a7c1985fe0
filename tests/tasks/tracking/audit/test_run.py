"""The run of a log is one for every machine, and keeps the first value of a key."""

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tasks.errors import DownstreamError
from tasks.tracking.audit.log import read_log
from tasks.tracking.audit.run import EXPERIMENT, LONGEST_VALUE, find_run, make_run, write_once
from tasks.tracking.audit.writer import Change, append


def test_mlflow_keeps_the_first_value_of_a_key_for_ever(client: MlflowClient) -> None:
    run_id = make_run(client, "m")
    assert write_once(client, run_id, "000001", "one")
    assert write_once(client, run_id, "000001", "one")
    assert not write_once(client, run_id, "000001", "two")
    assert client.get_run(run_id).data.params == {"000001": "one"}


def test_mlflow_keeps_as_much_of_a_value_as_is_written_and_would_cut_more_in_silence(
    client: MlflowClient,
) -> None:
    run_id = make_run(client, "m")
    assert write_once(client, run_id, "000001", "x" * LONGEST_VALUE)
    client.log_param(run_id, "000002", "x" * LONGEST_VALUE + "y")
    assert set(client.get_run(run_id).data.params.values()) == {"x" * LONGEST_VALUE}


def test_a_log_that_was_deleted_in_mlflows_page_comes_back(logged: MlflowClient) -> None:
    run = find_run(logged, "m")
    assert run is not None
    logged.delete_run(run.info.run_id)
    assert len(read_log(logged, "m").entries) == 3
    logged.delete_experiment(run.info.experiment_id)
    append(logged, "m", Change("reject"))
    assert len(read_log(logged, "m").entries) == 4
    assert read_log(logged, "m").problems() == []


def test_a_log_that_is_gone_for_good_is_not_begun_anew_in_silence(client: MlflowClient) -> None:
    client.create_experiment(f"{EXPERIMENT}m")
    with pytest.raises(DownstreamError, match="the audit log of m is gone: experiment 'downstream"):
        append(client, "m", Change("reject"))


class BrokenAfterWriting:
    """A client whose connection breaks after the server has taken a parameter."""

    def __init__(self, client: MlflowClient) -> None:
        self.get_run = client.get_run
        self._log_param = client.log_param

    def log_param(self, run_id: str, key: str, value: str) -> None:
        self._log_param(run_id, key, value)
        raise MlflowException("the connection broke")


def test_what_arrived_before_the_connection_broke_is_ours(client: MlflowClient) -> None:
    run_id = make_run(client, "m")
    assert write_once(BrokenAfterWriting(client), run_id, "000001", "one")
    assert client.get_run(run_id).data.params == {"000001": "one"}


def test_an_error_that_leaves_the_key_free_is_raised(client: MlflowClient) -> None:
    with pytest.raises(MlflowException, match="Run with id=ffff"):
        write_once(client, "f" * 32, "000001", "one")
