"""DVC's list of who reads and writes what, without the entries of the dead.

DVC takes an entry for a live one as long as any process has its number, so after a kill or a reboot
an entry may hold its files for as long as some other program runs. Here an entry goes where its
process is certainly another, whatever the clock was set to meanwhile; in doubt it is waited for.
"""

import re
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from tasks.contracts import files
from tasks.progress import say

OWN = re.compile(r"downstream run .* \(tick (\d+)\)$")
CAN_RUN_DVC = ("python", "pypy", "dvc")
MARGIN_SECONDS = 5.0
"""By how much a process must be younger than the list: file systems and the kernel round."""


def own_holder(stage: str) -> str:
    """Return what this process calls itself in the list while it works on a stage.

    It names the clock tick at which the process started, counted from the machine's start: with the
    number it is one process for ever, and no change of the clock moves it.
    """
    tick = _start_tick(psutil.Process().pid)
    return f"downstream run {stage}" + (f" (tick {tick})" if tick else "")


def mend_rwlock(path: Path) -> None:
    """Remove the entries of the dead, or the whole list where a kill has torn it.

    Args:
        path: the list; the caller holds DVC's repository lock, as whoever changes it does.
    """
    try:
        listed = files.read_json(path)
        written = path.stat().st_mtime
        writers, readers = listed.get("write") or {}, listed.get("read") or {}
        holders = [*writers.values(), *(entry for entries in readers.values() for entry in entries)]
        dead = {_key(entry): entry for entry in holders if _is_dead(entry, written)}
    except FileNotFoundError:
        return
    except (ValueError, TypeError, AttributeError, KeyError):
        path.unlink()
        say(f"{path} was torn by a kill: removed")
        return
    if not dead:
        return
    alive = {file: [e for e in entries if _key(e) not in dead] for file, entries in readers.items()}
    listed["write"] = {file: e for file, e in writers.items() if _key(e) not in dead}
    listed["read"] = {file: entries for file, entries in alive.items() if entries}
    files.write_json(path, listed)
    for pid, command in dead:
        say(f"{path}: removed what {command!r} held, which has ended (its number was {pid})")


def _key(entry: dict[str, Any]) -> tuple[int, str]:
    return int(entry["pid"]), str(entry["cmd"])


def _is_dead(entry: dict[str, Any], written: float) -> bool:
    """Tell whether the process that has an entry's number now is certainly another.

    Args:
        entry: one holder of the list.
        written: when the list was last written: every holder had started by then.
    """
    pid, command = _key(entry)
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        own = OWN.match(command)
        tick = _start_tick(pid)
        if own and tick:
            return own[1] != tick
        running = process.cmdline()
        if not any(name in word for word in (process.name(), *running[:2]) for name in CAN_RUN_DVC):
            return True
        # A clock set forward makes a process look younger than it is, so that it also has to be
        # another command; sys.argv, which DVC writes down, ends as a command line does.
        younger = float(process.create_time()) > written + MARGIN_SECONDS
        return younger and running[-1:] != command.split(" ")[-1:]
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False  # somebody else's, of which nothing is told


def _start_tick(pid: int) -> str | None:
    """Return at which clock tick since the machine's start a process started; None off Linux."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field is the program's name in brackets, which may hold anything.
    return status.rpartition(")")[2].split()[19]
