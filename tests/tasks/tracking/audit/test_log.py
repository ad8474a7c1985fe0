"""The log is append-only and chained: what was altered in MLflow's database is named."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.contracts import files
from tasks.errors import BadInput, DownstreamError
from tasks.tracking.audit.log import HEAD, canonical, read_log, require_registered
from tasks.tracking.audit.run import EXPERIMENT, LONGEST_VALUE, find_run, make_run, write_once
from tasks.tracking.audit.writer import Change, append, append_next
from tasks.tracking.store import opened


@pytest.fixture
def client(workspace: Path) -> Iterator[MlflowClient]:
    """An open store with the registered model ``m``, which has no versions."""
    with opened() as client:
        client.create_registered_model("m")
        yield client


@pytest.fixture
def logged(client: MlflowClient) -> MlflowClient:
    """The same with three entries about ``m``."""
    for number in (1, 2, 3):
        change = Change("reject", version_to=number, reason=f"of {number}", actor="ann")
        append(client, "m", change)
    return client


def _in_the_database(statement: str, *values: str) -> None:
    with closing(sqlite3.connect("mlflow.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def _alter(number: int, old: str, new: str) -> None:
    statement = "UPDATE params SET value = replace(value, ?, ?) WHERE key = ?"
    _in_the_database(statement, old, new, f"{number:06d}")


def test_an_entry_says_who_did_what_and_names_the_one_before(client: MlflowClient) -> None:
    about = {"weights_sha256": "ab"}
    change = Change(
        "approve",
        alias="champion",
        version_from=1,
        version_to=2,
        reason="better — by far",
        evidence=about,
        actor="Ann <ann@example.org>",
    )
    first = append(client, "m", change)
    second = append(client, "m", Change("reject", version_to=3))
    assert read_log(client, "m").entries == [first, second]
    assert first == {
        "number": 1,
        "time": first["time"],
        "actor": "Ann <ann@example.org>",
        "action": "approve",
        "model": "m",
        "alias": "champion",
        "version_from": 1,
        "version_to": 2,
        "reason": "better — by far",
        "evidence": about,
        "previous": "0" * 64,
    }
    assert second["number"] == 2
    assert second["previous"] == files.sha256_of_text(canonical(first))
    head = client.get_registered_model("m").tags["downstream.audit_head"]
    assert head == f"2 {files.sha256_of_text(canonical(second))}"


def test_the_reviewer_of_the_environment_is_the_actor(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", "Bob")
    assert append(client, "m", Change("reject"))["actor"] == "Bob"


def test_a_model_without_a_log_has_no_entries_and_no_problems(client: MlflowClient) -> None:
    assert (read_log(client, "m").entries, read_log(client, "m").problems()) == ([], [])
    assert client.get_experiment_by_name(f"{EXPERIMENT}m") is None


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


def test_who_has_read_an_old_log_cannot_append_to_it(logged: MlflowClient) -> None:
    old = read_log(logged, "m")
    append(logged, "m", Change("approve", version_to=4))
    assert append_next(logged, old, Change("reject")) is None
    assert [entry["action"] for entry in read_log(logged, "m").entries] == ["reject"] * 3 + [
        "approve"
    ]


def test_a_long_reason_is_cut_and_evidence_that_does_not_fit_is_refused(
    client: MlflowClient,
) -> None:
    assert len(append(client, "m", Change("reject", reason="字" * 9000))["reason"]) == 2000
    with pytest.raises(DownstreamError, match=r"000002: 7\d{3} characters .* the 6000 that MLflow"):
        append(client, "m", Change("reject", evidence={"all": "x" * 7000}))
    assert read_log(client, "m").problems() == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_altered_entry_is_named_also_after_others_were_appended(
    logged: MlflowClient, number: int
) -> None:
    _alter(number, '"reject"', '"approve"')
    (problem,) = read_log(logged, "m").problems()
    assert problem.startswith(f"m: entry {number} was altered: its sha256 is ")
    append(logged, "m", Change("reject", version_to=4))
    assert read_log(logged, "m").problems() == [problem]


def test_an_entry_that_is_no_json_any_more_is_named_and_the_others_are_read(
    logged: MlflowClient,
) -> None:
    _alter(2, "{", "")
    assert "m: entry 2 was altered: it is no entry any more" in read_log(logged, "m").problems()
    assert [entry["number"] for entry in read_log(logged, "m").entries] == [1, 3]


def test_a_removed_entry_is_missed(logged: MlflowClient) -> None:
    _in_the_database("DELETE FROM params WHERE key = ?", "000002")
    assert read_log(logged, "m").problems() == ["m: entry 2 is missing"]


def test_a_log_that_was_cut_is_told_by_the_tag_of_the_model(logged: MlflowClient) -> None:
    _in_the_database("DELETE FROM params WHERE key = ?", "000003")
    (problem,) = read_log(logged, "m").problems()
    assert problem == (
        "m: the log was cut: the registered model's tag downstream.audit_head names entry 3, the "
        "log has 2"
    )


def test_a_head_that_was_removed_is_missed(logged: MlflowClient) -> None:
    logged.delete_registered_model_tag("m", HEAD)
    assert read_log(logged, "m").problems() == [
        "m: the registered model has lost its tag downstream.audit_head"
    ]


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


def test_an_unknown_model_is_an_error_with_the_known_ones(client: MlflowClient) -> None:
    require_registered(client, "m")
    with pytest.raises(BadInput, match="topics: no such registered model; allowed: m"):
        require_registered(client, "topics")
