"""The log is append-only and chained: what was altered in MLflow's database is named."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from tasks.errors import BadInput, DownstreamError
from tasks.tracking.audit.log import HEAD, read_log, require_registered
from tasks.tracking.audit.run import EXPERIMENT
from tasks.tracking.audit.writer import Change, append


def _in_the_database(statement: str, *values: str) -> None:
    with closing(sqlite3.connect("mlflow.db")) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def _alter(number: int, old: str, new: str) -> None:
    statement = "UPDATE params SET value = replace(value, ?, ?) WHERE key = ?"
    _in_the_database(statement, old, new, f"{number:06d}")


def test_a_model_without_a_log_has_no_entries_and_no_problems(client: MlflowClient) -> None:
    assert (read_log(client, "m").entries, read_log(client, "m").problems()) == ([], [])
    assert client.get_experiment_by_name(f"{EXPERIMENT}m") is None


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


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"ann"', "[" * 5_000),
        ('"ann"', "1" * 5_000),
        ('"ann"', "7"),
        ('"evidence":{}', '"evidence":{"review":["a"]}'),
        ('"evidence":{}', '"evidence":[]'),
        ('"version_to":2', '"version_to":"2"'),
        ('"alias":null', '"alias":[]'),
        ('"number":2', '"number":2.0'),
        ('"number":2', '"number":{}'),
        ('"reason":"of 2"', '"reason":null'),
    ],
)
def test_an_entry_with_values_that_none_has_is_named_and_left_out(
    logged: MlflowClient, old: str, new: str
) -> None:
    _alter(2, old, new)
    assert "m: entry 2 was altered: it is no entry any more" in read_log(logged, "m").problems()
    assert [entry["number"] for entry in read_log(logged, "m").entries] == [1, 3]


def test_an_entry_far_behind_the_others_is_a_line_and_takes_no_other(logged: MlflowClient) -> None:
    log = read_log(logged, "m")
    logged.log_param(str(log.run_id), "999999", "{}")
    assert read_log(logged, "m").problems() == [
        "m: entries 4 to 999998 are missing",
        "m: entry 999999 was altered: it is no entry any more",
    ]
    with pytest.raises(DownstreamError, match=r"the log of m is full: its last entry is 999,999"):
        append(logged, "m", Change("reject", version_to=4))
    assert len(read_log(logged, "m").params) == len(log.params) + 1


@pytest.mark.parametrize("head", ["", "²", "9" * 5_000, "3 \n", "-1 a", "1e9 a", "٣ a"])
def test_a_head_that_is_none_is_one_of_no_entry(logged: MlflowClient, head: str) -> None:
    log = replace(read_log(logged, "m"), head=head)
    assert not log.has(head)
    assert len(log.problems()) == 1


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


def test_an_unknown_model_is_an_error_with_the_known_ones(client: MlflowClient) -> None:
    require_registered(client, "m")
    with pytest.raises(BadInput, match="topics: no such registered model; allowed: m"):
        require_registered(client, "topics")
