"""The store is opened once, found again after a move, and missed without a crash."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import Unreachable
from tasks.tracking.run_writer import experiment
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


def test_four_processes_open_a_new_store_at_once(empty_workspace: Path) -> None:
    root = Path(__file__).parents[3]
    script = (
        f"import sys; sys.path.insert(0, {str(root)!r})\n"
        "from tasks.tracking.store import opened\n"
        "with opened() as client: print(client.get_experiment('0').name)"
    )
    command = [sys.executable, "-c", script]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    results = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, results
    assert [out for out, _ in results] == ["Default\n"] * 4
    # Migrations are no news to the user.
    assert "INFO" not in "".join(err for _, err in results)


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
