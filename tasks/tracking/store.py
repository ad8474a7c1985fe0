"""The MLflow store: SQLite in the workspace by default, any server by ``MLFLOW_TRACKING_URI``.

Two processes that open a new SQLite store at once crash on its migrations, so it is only ever
opened under a lock.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import paths
from tasks.errors import Unreachable
from tasks.machine.locks import file_lock
from tasks.plain_text import plain, without_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATE = paths.STATE / "mlflow"
CHOICE = "MLFLOW_TRACKING_URI"
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
SQLITE = "sqlite:///"
ANSWER_TIMEOUT_SECONDS = 5
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
SMALL_TIMEOUT_SECONDS = 10
"""How long MLflow may take for what is no upload."""

# What MLflow would do by itself, unless the user has decided otherwise.
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    TIMEOUT: "60",
}

# Where MLflow's tables hold the absolute path of an artifact: not documented, and what no function
# of MLflow changes (test_store.py fails if it is another column, or one more).
ARTIFACT_COLUMNS = [
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
]


def tracking_uri() -> str:
    """Return where MLflow's records go; a path in it is absolute, from the repository's root."""
    chosen = os.environ.get(CHOICE) or f"{SQLITE}{DATABASE}"
    if not chosen.startswith(SQLITE):
        return chosen
    return f"{SQLITE}{Path(chosen.removeprefix(SQLITE)).absolute()}"


def artifact_folder() -> Path | None:
    """Return where artifacts go; None where a server decides that."""
    uri = tracking_uri()
    if not uri.startswith(SQLITE):
        return None
    return Path(uri.removeprefix(SQLITE)).parent / ARTIFACTS


def artifact_location(experiment: str) -> str | None:
    """Return where the artifacts of a new experiment go; None where a server decides that."""
    folder = artifact_folder()
    return (folder / experiment).as_uri() if folder else None


@contextmanager
def opened() -> Iterator[MlflowClient]:
    """Hold the store, alone among this workspace's processes.

    Raises:
        Unreachable: it does not answer, or cannot be opened; or it goes away or refuses meanwhile.
    """
    with _alone(), _same_environment():
        require_answer()
        with warnings.catch_warnings():
            # MLflow calls its own libraries in ways that they deprecate; it is not ours to mend.
            warnings.simplefilter("ignore", DeprecationWarning)
            client = _connect()
            try:
                yield client
            except errors() as error:
                raise Unreachable(
                    f"MLflow: {first_line(error)}; what it has taken up to here is kept"
                ) from error


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock on the store; where nobody can write to the workspace, there is none to hold.

    Then a store that lies in it is read, and any other has no need of the lock: it keeps two
    processes from creating a database at once.
    """
    with ExitStack() as held:
        try:
            STATE.mkdir(parents=True, exist_ok=True)
            held.enter_context(file_lock(STATE / "store.lock"))
        except OSError as error:
            if error.errno not in READ_ONLY or _can_write_database():
                raise
        yield


def _can_write_database() -> bool:
    uri = tracking_uri()
    database = Path(uri.removeprefix(SQLITE))
    return uri.startswith(SQLITE) and os.access(
        database if database.exists() else database.parent, os.W_OK
    )


@contextmanager
def answer_within(seconds: int | None) -> Iterator[None]:
    """Have MLflow wait for so long at most for each answer of a server; None changes nothing."""
    before = os.environ.get(TIMEOUT)
    if seconds is not None:
        os.environ[TIMEOUT] = str(min(seconds, int(before or seconds)))
    try:
        yield
    finally:
        if before is not None:
            os.environ[TIMEOUT] = before
        else:
            os.environ.pop(TIMEOUT, None)


@contextmanager
def _same_environment() -> Iterator[None]:
    # MLflow writes the place of its store to where the user's own choice is read.
    chosen = os.environ.get(CHOICE)
    try:
        yield
    finally:
        if chosen is not None:
            os.environ[CHOICE] = chosen
        else:
            os.environ.pop(CHOICE, None)


def _connect() -> MlflowClient:
    uri = tracking_uri()
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    # What it logs with a traceback is raised too, and told in a line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    try:
        _follow_the_workspace()
        mlflow.set_tracking_uri(uri)
        client = mlflow.MlflowClient(uri)
        with answer_within(SMALL_TIMEOUT_SECONDS):
            client.search_experiments(max_results=1)
    except errors() as error:
        raise Unreachable(f"MLflow at {uri}: {first_line(error)}") from error
    return client


def errors() -> tuple[type[Exception], ...]:
    """Return what MLflow raises when its store is away, full, or refuses."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    return MlflowException, RequestException, SQLAlchemyError, sqlite3.Error, OSError


def first_line(error: Exception) -> str:
    """Return the first line of an error, shortened; it may name the server with a password."""
    return plain((str(error).splitlines() or [type(error).__name__])[0])[:200]


def require_answer() -> None:
    """Check that the server answers at all, if there is one; MLflow itself would try for minutes.

    Raises:
        Unreachable: it does not.
    """
    uri = tracking_uri()
    if not uri.startswith(("http://", "https://")):
        return
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=ANSWER_TIMEOUT_SECONDS)
    except requests.RequestException:
        raise Unreachable(
            f"no MLflow server answers at {uri}: start it, or check MLFLOW_TRACKING_URI"
        ) from None


def pages() -> str | None:
    """Return where the MLflow server's pages are, without a password; None where there is none."""
    chosen = os.environ.get(CHOICE, "").rstrip("/")
    return without_credentials(chosen) if chosen.startswith(("http://", "https://")) else None


def _follow_the_workspace() -> None:
    """Correct the paths of artifacts after the workspace was moved or copied.

    MLflow makes each path absolute before it keeps it, a relative one too, and has no function to
    change it; so this alone writes into its tables.
    """
    now = artifact_folder()
    database = Path(tracking_uri().removeprefix(SQLITE))
    if now is None or not now.is_dir() or not database.exists() or not _can_write_database():
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not {table for table, _ in ARTIFACT_COLUMNS} <= tables:
            return
        locations = connection.execute(
            "SELECT artifact_location FROM experiments WHERE artifact_location LIKE ?",
            [f"%/{ARTIFACTS}/%"],
        ).fetchall()
        for before in {location.rpartition(f"/{ARTIFACTS}/")[0] for (location,) in locations}:
            after = now.parent.as_uri()
            if before == after:
                continue
            for table, column in ARTIFACT_COLUMNS:
                connection.execute(
                    # Both names are constants of this file.
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                    f"WHERE substr({column}, 1, ?) = ?",
                    [after, len(before) + 1, len(before) + 1, f"{before}/"],
                )
