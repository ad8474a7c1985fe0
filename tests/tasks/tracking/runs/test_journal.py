"""The journal of a training: whole lines, and whether somebody writes them."""

from pathlib import Path
from typing import Any

from tasks.tracking.runs import journal
from tasks.tracking.runs.journal import (
    append,
    begin,
    end_of_the_killed,
    held,
    journals,
    lines,
    mark,
)

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
    append(folder, {"step": 1, "figures": {"loss": 1.0}})
    started = (folder / "run.json").read_bytes()
    assert begin(ABOUT) == folder == Path(".downstream/mlflow/live/finetune@topics/abc")
    assert (folder / "run.json").read_bytes() == started
    assert statuses(folder) == ["RUNNING"]
    assert journal.last_steps(folder) == {"loss": 1}


def test_a_line_that_the_power_cut_short_is_passed_over(empty_workspace: Path) -> None:
    folder = begin(ABOUT)
    append(folder, {"step": 1, "figures": {"loss": 1.0}})
    with journal.lines_file(folder).open("a") as file:
        file.write('{"at": 1, "step": 2, "figu')
    assert journal.last_steps(folder) == {"loss": 1}
    begin(ABOUT)
    append(folder, {"step": 3, "figures": {"loss": 0.5}})
    assert journal.last_steps(folder) == {"loss": 3}


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
    with held(folders[0]):
        journal.forget_all_but_the_newest(lambda folder: folder != unsent)
    assert set(journals()) == {*folders[:2], *folders[3:]}
