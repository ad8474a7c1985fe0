"""The journal of a training: whole lines, whether somebody writes them, and each sent once."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tasks.contracts import files
from tasks.tracking.runs import journal
from tasks.tracking.runs.journal import (
    append,
    begin,
    end_of_the_killed,
    held,
    is_complete,
    journals,
    lines,
    mark,
    send,
)
from tasks.tracking.runs.metric_log import MetricLog
from tasks.tracking.runs.run_writer import write_run
from tasks.tracking.runs.runs import describe_run
from tasks.tracking.store import opened

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
ABOUT: dict[str, Any] = {
    "experiment": "topics",
    "name": "finetune@topics",
    "identity": {"downstream.stage": "finetune", "downstream.stage_hash": "abc"},
    "tags": {},
    "params": {},
}


def about(stage_hash: str) -> dict[str, Any]:
    return {**ABOUT, "identity": {**ABOUT["identity"], "downstream.stage_hash": stage_hash}}


def statuses(folder: Path) -> list[str]:
    return [line["status"] for line, _ in lines(folder) if "status" in line]


def test_a_journal_is_gone_on_with(empty_workspace: Path) -> None:
    folder = begin(ABOUT)
    mark(folder, journal.RUNNING)
    append(folder, {"step": 1, "metrics": {"loss": 1.0}})
    started = (folder / "run.json").read_bytes()
    assert begin(ABOUT) == folder == Path(".downstream/mlflow/live/finetune@topics/abc")
    assert (folder / "run.json").read_bytes() == started
    assert statuses(folder) == ["RUNNING"]
    assert journal.last_steps(folder) == {"loss": 1}


def test_a_line_that_the_power_cut_short_is_passed_over(empty_workspace: Path) -> None:
    folder = begin(ABOUT)
    append(folder, {"step": 1, "metrics": {"loss": 1.0}})
    with journal.lines_file(folder).open("a") as file:
        file.write('{"at": 1, "step": 2, "metr')
    assert journal.last_steps(folder) == {"loss": 1}
    begin(ABOUT)
    append(folder, {"step": 3, "metrics": {"loss": 0.5}})
    assert journal.last_steps(folder) == {"loss": 3}


def test_a_journal_of_before_is_read_by_the_words_of_now(empty_workspace: Path) -> None:
    folder = begin(ABOUT)
    append(folder, {"step": 1, "figures": {"loss": 1.0}})
    assert journal.last_steps(folder) == {"loss": 1}


def test_lines_are_read_from_where_the_last_reader_ended(empty_workspace: Path) -> None:
    folder = begin(ABOUT)
    append(folder, {"step": 0})
    append(folder, {"step": 1})
    (_, end_of_first), (_, end) = lines(folder)
    assert [line["step"] for line, _ in lines(folder, end_of_first)] == [1]
    assert list(lines(folder, end)) == []


def test_one_that_nobody_holds_any_more_was_killed(empty_workspace: Path) -> None:
    folder = begin(ABOUT)
    with held(folder):
        mark(folder, journal.RUNNING)
        assert not end_of_the_killed(folder)
        assert statuses(folder) == ["RUNNING"]
    assert end_of_the_killed(folder)
    assert end_of_the_killed(folder)
    assert statuses(folder) == ["RUNNING", "KILLED"]


def test_one_that_ended_was_not_killed(empty_workspace: Path) -> None:
    folder = begin(ABOUT)
    mark(folder, journal.RUNNING)
    mark(folder, journal.ENDED)
    assert end_of_the_killed(folder)
    assert statuses(folder) == ["RUNNING", "ENDED"]


def test_old_ones_are_forgotten_once_they_are_sent(empty_workspace: Path) -> None:
    folders = [begin(about(f"{number:03}")) for number in range(journal.KEPT + 3)]
    unsent = folders[1]
    append(unsent, {"step": 1, "metrics": {"loss": 1.0}})
    with held(folders[0]):
        journal.discard_old()
    assert set(journals()) == {*folders[:2], *folders[3:]}


@pytest.fixture
def folder(workspace: Path) -> Path:
    return begin(facts())


def facts() -> dict[str, Any]:
    return describe_run(
        stage="finetune",
        row="topics",
        stage_hash="abc",
        params={"rate": 0.1},
        tags={},
        inputs={"data/split/topics/train.parquet": MD5, "data/validate/topics/gate.json": "0"},
    )


def the_run(client: MlflowClient) -> Run:
    number = client.get_experiment_by_name("topics").experiment_id
    (run,) = client.search_runs([number])
    return run


def steps(client: MlflowClient, key: str = "loss") -> list[int]:
    history = client.get_metric_history(the_run(client).info.run_id, key)
    return [point.step for point in history]


def log(folder: Path, *at: int) -> None:
    for step in at:
        MetricLog(folder).log(step, {"loss": 1.0 / step})


def test_a_run_is_there_while_it_runs_with_its_parameters_and_its_data(folder: Path) -> None:
    log(folder, 20, 40)
    with opened() as client:
        send(client, folder)
        run = the_run(client)
        assert steps(client) == [20, 40]
    assert is_complete(folder)
    assert run.info.status == "RUNNING"
    assert run.info.start_time == files.read_json(folder / "run.json")["started"]
    assert run.data.params == {"rate": "0.1"}
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("data/split/topics/train.parquet", MD5)
    assert {tag.key: tag.value for tag in data.tags}["mlflow.data.context"] == "train"
    assert "data/validate/topics/gate.json" in run.data.tags["downstream.inputs"]


def test_lines_that_may_have_arrived_are_sent_again_and_are_there_once(folder: Path) -> None:
    log(folder, 20, 40)
    with opened() as client:
        send(client, folder)
        # Killed between MLflow's answer and the note of it.
        sent = files.read_json(folder / "sent.json")
        files.write_json(folder / "sent.json", {**sent, "offset": 0})
        log(folder, 60)
        send(client, folder)
        send(client, folder)
        assert steps(client) == [20, 40, 60]


def test_many_lines_go_in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LINES_AT_ONCE", 3)
    log(folder, *range(1, 11))
    with opened() as client:
        send(client, folder)
        assert steps(client) == list(range(1, 11))


def test_a_store_that_was_removed_gets_all_of_it(folder: Path, new_store: Path) -> None:
    log(folder, 20)
    with opened() as client:
        send(client, folder)
        client.delete_run(the_run(client).info.run_id)
        log(folder, 40)
        send(client, folder)
        assert steps(client) == [20, 40]


def test_a_run_killed_on_another_machine_goes_on_without_repeated_steps(folder: Path) -> None:
    log(folder, 20, 40)
    with opened() as client:
        send(client, folder)
        shutil.rmtree(folder)
        assert begin(facts()) == folder
        log(folder, 20, 40, 60)
        send(client, folder)
        assert steps(client) == [20, 40, 60]


def test_a_run_that_is_finished_is_left_as_it_is(folder: Path) -> None:
    log(folder, 20)
    with opened() as client:
        write_run(client, {**facts(), "metrics": []}, Path("no-files"))
        send(client, folder)
        run = the_run(client)
    assert run.info.status == "FINISHED"
    assert "loss" not in run.data.metrics


def test_a_training_that_was_killed_and_resumed_says_so(folder: Path) -> None:
    seen = []
    with opened() as client:
        for status in (journal.FAILED, journal.RUNNING, journal.KILLED, journal.RUNNING):
            mark(folder, status)
            send(client, folder)
            seen.append(the_run(client).info.status)
        mark(folder, journal.ENDED)
        send(client, folder)
        # Its record finishes it.
        seen.append(the_run(client).info.status)
    assert seen == ["FAILED", "RUNNING", "KILLED", "RUNNING", "RUNNING"]
