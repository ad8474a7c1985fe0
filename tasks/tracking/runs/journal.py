"""What a training tells MLflow while it runs: lines of a file, until MLflow has them.

    .downstream/mlflow/live/<stage>@<row>/<stage hash>/
        run.json      the run that the figures belong to
        lines.jsonl   {"at": 1760000000000, "step": 40, "figures": {"loss": 2.1}}, or a "status"
        sent.json     how far MLflow has them
        lock          held while the training runs

A line is appended with one write, so that the stage's process and the first of its ranks may both
write. Whoever holds the store may send what is there; the lock only tells whether somebody trains.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tasks.contracts import files
from tasks.tracking.store import STATE

LIVE = STATE / "live"
KEPT = 20
"""Of trainings that were never finished, and that MLflow has all lines of, the newest."""
RUNNING, ENDED, FAILED, KILLED = "RUNNING", "ENDED", "FAILED", "KILLED"


def begin(about: Mapping[str, Any]) -> Path:
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


def folder_of(about: Mapping[str, Any]) -> Path:
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
                yield json.loads(text), offset
            except ValueError:
                continue  # torn when the power failed


def last_steps(folder: Path) -> dict[str, int]:
    """Return the last step of each figure."""
    found: dict[str, int] = {}
    for line, _ in lines(folder):
        found.update(dict.fromkeys(line.get("figures", {}), line.get("step", -1)))
    return found


def journals() -> list[Path]:
    """Return the folders of all journals, those begun first in front."""
    found = [path.parent for path in LIVE.glob("*@*/*/run.json")]
    begun = {folder: files.read_json(folder / "run.json")["started"] for folder in found}
    return sorted(found, key=lambda folder: (begun[folder], folder))


def held(folder: Path, timeout_seconds: float = 0) -> FileLock:
    """Return the lock of a journal, held while its training runs."""
    return FileLock(folder / "lock", timeout=timeout_seconds)


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


def forget_all_but_the_newest(is_sent: Callable[[Path], bool]) -> None:
    """Remove old journals of trainings that nobody has gone on with."""
    for folder in journals()[:-KEPT]:
        if is_sent(folder) and end_of_the_killed(folder):
            discard(folder)


def _now() -> int:
    return int(time.time() * 1000)
