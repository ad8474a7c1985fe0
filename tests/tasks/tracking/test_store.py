"""The store is opened once, found again after a move, and missed without a crash."""

import os
import shutil
import sqlite3
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tasks.errors import Unreachable
from tasks.tracking.runs.run_writer import experiment
from tasks.tracking.store import ARTIFACT_COLUMNS, artifact_folder, opened, tracking_uri


def test_the_store_is_sqlite_in_the_workspace(empty_workspace: Path) -> None:
    assert tracking_uri() == f"sqlite:///{empty_workspace}/mlflow.db"
    assert artifact_folder() == empty_workspace / "mlartifacts"


def test_the_environment_names_another_store(
    empty_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///here/other.db")
    assert tracking_uri() == f"sqlite:///{empty_workspace}/here/other.db"
    assert artifact_folder() == empty_workspace / "here" / "mlartifacts"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    assert tracking_uri() == "https://mlflow.example.org"
    assert artifact_folder() is None


ROUNDS = 10


def open_new_stores(folder: Path, together: Barrier) -> None:
    """Open a new store in each of some folders, in the same moment as another process."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    for number in range(ROUNDS):
        os.chdir(folder / str(number))
        together.wait(60)
        with opened() as client:
            assert client.get_experiment("0").name == "Default"


def test_two_processes_open_a_new_store_at_once_ten_times(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(ROUNDS):
        (tmp_path / str(number)).mkdir()
    context = get_context("spawn")
    together = context.Barrier(2)
    processes = [
        context.Process(target=open_new_stores, args=(tmp_path, together)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    # Migrations are no news to the user, and crashes there are none.
    assert capfd.readouterr().err == ""
    assert [process.exitcode for process in processes] == [0, 0]


def test_a_server_that_does_not_answer_is_named_without_its_password(
    empty_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:9")
    with (
        pytest.raises(Unreachable, match=r"no MLflow server answers at http://127\.0\.0\.1:9: "),
        opened(),
    ):
        pass


def test_a_file_that_is_no_database_is_an_error_of_one_line(empty_workspace: Path) -> None:
    (empty_workspace / "mlflow.db").write_text("not a database, and longer than its header" * 9)
    with (
        pytest.raises(Unreachable, match=r"MLflow at sqlite:///.*/mlflow\.db: .*not a database"),
        opened(),
    ):
        pass


def test_places_of_artifacts_follow_a_moved_workspace(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as client:
        number = experiment(client, "topics")
        run = client.create_run(number)
        client.log_text(run.info.run_id, "kept", "note.txt")
    moved = workspace.with_name("moved 100%")
    shutil.move(workspace, moved)
    monkeypatch.chdir(moved)
    assert "MLFLOW_TRACKING_URI" not in os.environ
    with opened() as client:
        place = client.get_experiment_by_name("topics").artifact_location
        assert place == (moved / "mlartifacts" / "topics").as_uri()
        assert client.list_artifacts(run.info.run_id)[0].path == "note.txt"
        text = Path(client.download_artifacts(run.info.run_id, "note.txt")).read_text()
    assert text == "kept"
    assert not workspace.exists()


def test_the_columns_that_a_move_changes_are_mlflows(new_store: Path) -> None:
    connection = sqlite3.connect(new_store)
    for table, column in ARTIFACT_COLUMNS:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        assert column in columns
    connection.close()
