"""The log of what ``downstream accept`` has recorded as good under new code: one line a stage.

It lies in ``accepted.jsonl`` beside ``dvc.lock``, since that is the file it explains and both
belong into the same commit, and in ``.downstream/accepted.jsonl``, which outlives a checkout of
another branch.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NotRequired, TypedDict

from tasks.contracts import paths

LOGS = (Path("accepted.jsonl"), paths.STATE / "accepted.jsonl")


class Probed(TypedDict):
    """What a short run with the code before and after has shown."""

    device: str
    """The kind of device on which the bytes were the same."""
    digest: str
    """The hash of the short run's output files, under both."""
    before: str
    """Which state of the code the result was made with: a snapshot or a commit."""


class Acceptance(TypedDict):
    """One line of the log."""

    stage: str
    """``<stage>@<row>``."""
    old_hash: str
    """The stage hash of the result as it was recorded before."""
    new_hash: str
    """The same under the code that it was accepted for."""
    changed: list[str]
    """The modules that differ, the defaults, and ``cmd`` where the command does."""
    time: str
    """UTC, ISO 8601, to the second."""
    who: str
    commit: str | None
    reason: str
    probe: NotRequired[Probed]
    """Where no person has said so, but a short run has shown it."""


def append_acceptances(acceptances: Iterable[Acceptance]) -> None:
    """Append one line a stage, each whole or absent, to both logs."""
    lines = "".join(f"{json.dumps(item, ensure_ascii=False)}\n" for item in acceptances)
    for path in LOGS:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write(lines)
            log.flush()
            os.fsync(log.fileno())


def read_acceptances() -> list[Acceptance]:
    """Return what the logs hold, each acceptance once; a line that is torn is left out."""
    by_line: dict[str, Acceptance] = {}
    for log in LOGS:
        for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
            try:
                by_line[line] = json.loads(line)
            except ValueError:
                continue
    return list(by_line.values())
