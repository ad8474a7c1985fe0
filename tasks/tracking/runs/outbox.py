"""What is to be told to MLflow, kept in files until MLflow has it.

One folder a record, named by the time it was put there: ``record.json`` and ``files/``. A record
is removed only after it was written, and writing one twice changes nothing, so a kill at any point
loses nothing. Before the records go the metrics of trainings (``journal``), of which the records
are the ends.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.errors import Unreachable
from tasks.progress import say
from tasks.tracking.registry import version_writer
from tasks.tracking.runs import journal, run_writer
from tasks.tracking.store import (
    SMALL_TIMEOUT_SECONDS,
    STATE,
    answer_within,
    errors,
    first_line,
    opened,
    require_answer,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

OUTBOX = STATE / "outbox"
WRITERS = {"run": run_writer.write_run, "version": version_writer.write_version}
# A version is uploaded with its weights: that may take longer.
TIMEOUT_SECONDS = {"run": SMALL_TIMEOUT_SECONDS}


def deliver(kind: str, record: Mapping[str, Any], attached: Mapping[str, Path]) -> Any:
    """Put a record into the outbox and send all that waits there.

    Args:
        kind: ``run`` or ``version``.
        record: what its writer needs; plain JSON.
        attached: files and folders to go with it, by their name in the record.

    Returns:
        What the writer returns for this record; None while it waits.
    """
    put = _put(kind, record, attached)
    try:
        with opened() as client:
            return send_waiting(client).get(put.name)
    except Unreachable as error:
        say(f"warning: {error}. {waiting()} record(s) wait in {OUTBOX}; the next run sends them")
        return None


def send_waiting(client: MlflowClient) -> dict[str, Any]:
    """Write all that waits, oldest first; return what the writers of records return, by record.

    Raises:
        Unreachable: the server is away by now; what is left waits.
    """
    for folder in journal.journals():
        journal.end_of_the_killed(folder)
        with _refusals_told(folder, TIMEOUT_SECONDS["run"]):
            journal.send(client, folder)
    results = {}
    for folder in _waiting_folders():
        record = files.read_json(folder / "record.json")
        with _refusals_told(folder, TIMEOUT_SECONDS.get(record["kind"])):
            results[folder.name] = WRITERS[record["kind"]](client, record, folder / "files")
            shutil.rmtree(folder)
            if record["kind"] == "run":
                journal.discard(journal.folder_of(record))
    journal.discard_old()
    return results


@contextmanager
def _refusals_told(folder: Path, timeout_seconds: int | None) -> Iterator[None]:
    """Go on where MLflow does not take what a folder holds: it waits there for the next command.

    Raises:
        Unreachable: the server is away by now; it would cost a time-out for each of the others.
    """
    try:
        with answer_within(timeout_seconds):
            yield
    except errors() as error:
        say(f"warning: MLflow did not take {folder}: {first_line(error)}; the next run tries")
        require_answer()


def waiting() -> int:
    """Return how many records wait, and trainings with metrics that do."""
    unsent = [folder for folder in journal.journals() if not journal.is_complete(folder)]
    return len(_waiting_folders()) + len(unsent)


def _waiting_folders() -> list[Path]:
    return sorted(OUTBOX.glob("[0-9]*")) if OUTBOX.is_dir() else []


def _put(kind: str, record: Mapping[str, Any], attached: Mapping[str, Path]) -> Path:
    folder = OUTBOX / f"{time.time_ns():020d}-{os.getpid()}"
    with files.new_folder(folder) as unfinished:
        (unfinished / "files").mkdir()
        files.write_json(unfinished / "record.json", {"kind": kind, **record})
        for name, source in attached.items():
            target = unfinished / "files" / name
            if source.is_dir():
                shutil.copytree(source, target, copy_function=files.link_or_copy)
            elif source.exists():
                files.link_or_copy(source, target)
    return folder
