"""Which lines of the code a stage has executed: what a change of other lines cannot have changed.

Watched by ``sys.monitoring`` (Python 3.12 and later), which tells of a line once and then never
again, so that a training does not pay for it. On Python 3.11 nothing is watched, and a probe has to
show more by itself. It lies in

    .downstream/executed/<stage>@<row>/<stage hash>.json

by file below the repository's root, and is no output of DVC: nothing depends on it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

from tasks.contracts import files, paths

EXECUTED = paths.STATE / "executed"
KEPT_PER_STAGE = 5
NAME = "downstream"

Lines = dict[str, list[int]]
"""The executed lines of functions, by file (``tasks/training/loop.py``)."""


@contextmanager
def watch_lines(root: Path) -> Iterator[Callable[[], Lines]]:
    """Watch the code below ``tasks/`` in all threads, from the next call of each function on.

    Args:
        root: the repository's root, which the code's file names begin with.

    Yields:
        A function that returns the lines so far; none where watching is not possible.
    """
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None or monitoring.get_tool(monitoring.COVERAGE_ID) is not None:
        yield dict
        return
    tool, events = monitoring.COVERAGE_ID, monitoring.events
    prefix = f"{root / 'tasks'}/"
    lines: dict[str, set[int]] = {}

    def started(code: CodeType, _offset: int) -> Any:
        if code.co_filename.startswith(prefix):
            monitoring.set_local_events(tool, code, events.LINE)
        return monitoring.DISABLE

    def reached(code: CodeType, line: int) -> Any:
        lines.setdefault(code.co_filename, set()).add(line)
        return monitoring.DISABLE

    def so_far() -> Lines:
        found = {Path(name).relative_to(root).as_posix(): of for name, of in lines.items()}
        return {name: sorted(found[name]) for name in sorted(found)}

    monitoring.use_tool_id(tool, NAME)
    monitoring.register_callback(tool, events.PY_START, started)
    monitoring.register_callback(tool, events.LINE, reached)
    monitoring.restart_events()  # what was told once would not be told again
    monitoring.set_events(tool, events.PY_START)
    try:
        yield so_far
    finally:
        monitoring.set_events(tool, events.NO_EVENTS)
        for event in (events.PY_START, events.LINE):
            monitoring.register_callback(tool, event, None)
        monitoring.free_tool_id(tool)


def keep_executed(name: str, stage_hash: str, lines: Lines) -> None:
    """Keep what a stage executed; nothing where nothing was watched.

    Args:
        name: the stage, ``<stage>@<row>``.
        stage_hash: its result's identity.
        lines: from ``watch_lines``.
    """
    if not lines:
        return
    kept = EXECUTED / name / f"{stage_hash}.json"
    files.write_json(kept, lines)
    by_age = sorted(kept.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for old in by_age[:-KEPT_PER_STAGE]:
        old.unlink(missing_ok=True)


def executed_by(name: str, stage_hash: str) -> Lines | None:
    """Return what a stage executed for a result; None where that is not known."""
    try:
        lines = files.read_json(EXECUTED / name / f"{stage_hash}.json")
    except (OSError, ValueError):
        return None
    return lines if isinstance(lines, dict) else None
