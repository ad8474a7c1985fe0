"""The store is opened once, found again after a move, and missed without a crash."""

import os
import shutil
import sqlite3
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tasks.errors import BadInput, Unreachable
from tasks.tracking.registry.packaging import log_model
from tasks.tracking.runs.run_writer import ensure_experiment
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


ROUNDS = 3


def open_new_stores(folder: Path, together: Barrier) -> None:
    """Open a new store in each of some folders, in the same moment as another process."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    for number in range(ROUNDS):
        os.chdir(folder / str(number))
        together.wait(60)
        with opened() as client:
            assert client.get_experiment("0").name == "Default"


def test_two_processes_open_a_new_store_at_once_three_times(
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


def test_a_refusal_of_mlflow_is_an_error_of_one_line_and_no_other_error_is_changed(
    workspace: Path,
) -> None:
    with (
        pytest.raises(Unreachable, match=r"^MLflow: .*; what it has taken up to here is kept$"),
        opened() as client,
    ):
        client.get_run("0" * 32)
    with pytest.raises(BadInput, match="ours"), opened():
        raise BadInput("ours")


def test_places_of_artifacts_follow_a_moved_workspace(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as client:
        number = ensure_experiment(client, "topics")
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


def test_a_move_changes_each_column_of_mlflow_that_names_the_workspace_and_no_other(
    workspace: Path, text_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as client:
        run = client.create_run(ensure_experiment(client, "topics"))
        model_id = log_model(text_model, run.info.run_id)
        client.create_registered_model("topics")
        client.create_model_version("topics", f"models:/{model_id}", model_id=model_id)
        by_hand = (workspace / "mlartifacts" / "by hand").as_uri()
        client.create_model_version("topics", by_hand)
    assert named_in(workspace / "mlflow.db", str(workspace)) == set(ARTIFACT_COLUMNS)
    moved = workspace.with_name("moved")
    shutil.move(workspace, moved)
    monkeypatch.chdir(moved)
    with opened() as client:
        assert client.get_model_version_download_uri("topics", "1").startswith(f"file://{moved}")
    assert named_in(moved / "mlflow.db", str(workspace)) == set()


def named_in(database: Path, text: str) -> set[tuple[str, str]]:
    """Return the tables and columns of a database in which a text stands."""
    listed = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
    count = 'SELECT count(*) FROM "{}" WHERE instr("{}", ?)'
    with closing(sqlite3.connect(database)) as connection:
        return {
            (table, column)
            for table, column in connection.execute(f"{listed} WHERE m.type = 'table'").fetchall()
            if connection.execute(count.format(table, column), [text]).fetchone()[0]
        }
