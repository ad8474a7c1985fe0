"""What a training tells MLflow while it runs: lines of a file, sent once each and in order.

    .downstream/mlflow/live/<stage>@<row>/<stage hash>/
        run.json      the run that the metrics belong to
        lines.jsonl   {"at": 1760000000000, "step": 40, "metrics": {"loss": 2.1}}, or a "status"
        sent.json     how far MLflow has them
        lock          held while the training runs

A line is appended with one write, so that the stage's process and the first of its ranks may both
write. Whoever holds the store may send what is there; the lock only tells whether somebody trains.

A metric has the time at which it was written down, and MLflow keeps one metric of a name, step,
time and value once. So it does no harm to send lines again of which nobody knows whether they
arrived.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from tasks.contracts import files
from tasks.machine.locks import file_lock
from tasks.tracking.runs.run_writer import (
    RunDescription,
    describe,
    find_or_create_run,
    log_points,
)
from tasks.tracking.store import STATE

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

LIVE = STATE / "live"
KEPT = 20
"""Of trainings that were never finished, and that MLflow has all lines of, the newest."""
LINES_AT_ONCE = 200
RUNNING, ENDED, FAILED, KILLED = "RUNNING", "ENDED", "FAILED", "KILLED"


def begin(about: RunDescription) -> Path:
    """Make the journal of a run, or go on with the one there is; return its folder."""
    folder = folder_of(about)
    if not (folder / "run.json").exists():
        files.write_json(folder / "run.json", {**about, "started": _now()})
    content = lines_file(folder).read_bytes() if lines_file(folder).exists() else b""
    if content and not content.endswith(b"\n"):
        with lines_file(folder).open("ab") as file:
            file.write(b"\n")  # the power failed in the middle of a line
    return folder


def mark(folder: Path, status: str) -> None:
    """Add a line about the training itself, if there is room for it."""
    with suppress(OSError):
        append(folder, {"status": status})


def folder_of(about: RunDescription) -> Path:
    """Return where the journal of a run is, if it has one."""
    identity = about["identity"]
    return LIVE / about["name"] / identity["downstream.stage_hash"]


def append(folder: Path, line: Mapping[str, Any]) -> None:
    """Add a line, with the time, in one write."""
    text = json.dumps({"at": _now(), **line}) + "\n"
    descriptor = os.open(lines_file(folder), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def keep(folder: Path) -> None:
    """Have the lines on the disk, so that a power loss does not tear a hole into a curve."""
    with suppress(OSError), lines_file(folder).open("ab") as file:
        os.fsync(file.fileno())


def lines_file(folder: Path) -> Path:
    """Return the file with the lines of a journal."""
    return folder / "lines.jsonl"


def lines(folder: Path, offset: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the whole lines from an offset on, each with the offset of its end."""
    if not lines_file(folder).exists():
        return
    with lines_file(folder).open("rb") as file:
        file.seek(offset)
        for text in file:
            offset += len(text)
            if not text.endswith(b"\n"):
                return
            try:
                line = json.loads(text)
            except ValueError:
                continue  # torn when the power failed
            if "figures" in line:  # as journals were written before the word was another
                line["metrics"] = line.pop("figures")
            yield line, offset


def last_steps(folder: Path) -> dict[str, int]:
    """Return the last step of each metric."""
    steps: dict[str, int] = {}
    for line, _ in lines(folder):
        steps.update(dict.fromkeys(line.get("metrics", {}), line.get("step", -1)))
    return steps


def journals() -> list[Path]:
    """Return the folders of all journals, those begun first in front."""
    folders = [path.parent for path in LIVE.glob("*@*/*/run.json")]
    begun = {folder: files.read_json(folder / "run.json")["started"] for folder in folders}
    return sorted(folders, key=lambda folder: (begun[folder], folder))


def held(folder: Path, timeout_seconds: float = 0) -> FileLock:
    """Return the lock of a journal, held while its training runs."""
    return file_lock(folder / "lock", timeout=timeout_seconds)


def end_of_the_killed(folder: Path) -> bool:
    """Say in a journal that its training was killed, if it was; return whether it has ended."""
    try:
        with held(folder):
            statuses = [line["status"] for line, _ in lines(folder) if "status" in line]
            if statuses and statuses[-1] == RUNNING:
                mark(folder, KILLED)
            return True
    except Timeout:
        return False


def discard(folder: Path) -> None:
    """Remove a journal: its run is complete."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.parent.rmdir()
    except OSError:
        return  # it holds another one, or is gone already


def discard_old() -> None:
    """Remove all but the newest journals of trainings that nobody has gone on with."""
    for folder in journals()[:-KEPT]:
        if is_complete(folder) and end_of_the_killed(folder):
            discard(folder)


def send(client: MlflowClient, folder: Path) -> None:
    """Send the lines of a journal that MLflow does not have; a finished run is left as it is.

    Args:
        client: the open store.
        folder: the journal; its training may be running.
    """
    about = files.read_json(folder / "run.json")
    run_id, is_finished = find_or_create_run(client, about)
    sent = _sent(folder)
    if sent.get("run_id") != run_id:
        describe(client, run_id, about)
        # Another workspace may have begun the run, and was killed: what is computed again here is
        # the same, so only steps after its last are new.
        known = {
            key: max(point.step for point in client.get_metric_history(run_id, key))
            for key in client.get_run(run_id).data.metrics
        }
        sent = {"run_id": run_id, "offset": 0, "known": known}
    while not is_finished:
        unsent = list(islice(lines(folder, sent["offset"]), LINES_AT_ONCE))
        if not unsent:
            break
        _write(client, run_id, [line for line, _ in unsent], sent["known"])
        sent["offset"] = unsent[-1][1]
        files.write_json(folder / "sent.json", sent)


def is_complete(folder: Path) -> bool:
    """Tell whether MLflow has all that stands in a journal."""
    return next(lines(folder, _sent(folder).get("offset", 0)), None) is None


def _sent(folder: Path) -> dict[str, Any]:
    path = folder / "sent.json"
    sent: dict[str, Any] = files.read_json(path) if path.exists() else {}
    return sent


def _write(
    client: MlflowClient, run_id: str, unsent: list[dict[str, Any]], known: dict[str, int]
) -> None:
    """Write lines to a run, but for metrics of steps that it has (``known``: the last, by name)."""
    from mlflow.entities import Metric

    points: list[Metric] = []
    for line in unsent:
        points += [
            Metric(name, value, line["at"], line["step"])
            for name, value in line.get("metrics", {}).items()
            if line["step"] > known.get(name, -1)
        ]
        status = line.get("status")
        if status is not None:
            log_points(client, run_id, points)
            points = []
        if status == RUNNING:
            client.update_run(run_id, status=RUNNING)
        elif status in (FAILED, KILLED):  # after ENDED, a record with the rest is on its way
            client.set_terminated(run_id, status, end_time=line["at"])
    log_points(client, run_id, points)


def _now() -> int:
    return int(time.time() * 1000)
