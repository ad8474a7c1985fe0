"""``downstream history``: a model's audit log for people."""

import re
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from flows.terminal import console
from tasks.progress import say
from tasks.promotion.history import History
from tasks.tracking.audit.log import FOUND, Entry

BROKEN = 1
HASH = re.compile(r"[0-9a-f]{32,}")
HASH_SHOWN = 12


def print_history(history: History, verify: bool) -> int:
    """Print the entries, and with ``verify`` whether their chain holds.

    Returns:
        The exit code: 1 if it was to be verified and does not hold.
    """
    out = console()
    if history.entries:
        out.print(_table(history.entries))
    else:
        out.print(f"{history.model}: no alias was ever set.")
    now = ", ".join(f"{alias} {number}" for alias, number in history.aliases.items())
    out.print(f"\nNow: {now or 'no alias'}")
    return _verdict(history) if verify else 0


def print_json(history: History, verify: bool) -> int:
    """Print all there is as one JSON object; see ``print_history``."""
    console().print_json(data=asdict(history), ensure_ascii=False)
    return _verdict(history) if verify else 0


def _table(entries: list[Entry]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "time (UTC)", "action", "change", "by", "reason, evidence"):
        shown.add_column(column, overflow="fold")
    for entry in entries:
        style = "bold yellow" if entry["action"] == FOUND else None
        shown.add_row(*_cells(entry), style=style)
    return shown


def _cells(entry: Entry) -> list[Text]:
    time = entry["time"].replace("T", " ").removesuffix("Z")
    about = ", ".join(f"{name} {_short(value)}" for name, value in entry["evidence"].items())
    why = _plain(entry["reason"])
    if about:
        why = Text("\n").join([*([why] if why else []), Text(_printable(about), style="dim")])
    known = (str(entry["number"]), time, entry["action"], _change(entry), entry["actor"])
    return [*(_plain(cell) for cell in known), why]


def _plain(text: str) -> Text:
    # Text, so that nothing in it is taken for rich's markup.
    return Text(_printable(text))


def _printable(text: str) -> str:
    """Return a text of somebody else's without what would steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def _short(value: str) -> str:
    """Return the beginning of a hash, and all of anything else."""
    return value[:HASH_SHOWN] if HASH.fullmatch(value) else value


def _change(entry: Entry) -> str:
    gone, come = (
        "-" if number is None else str(number)
        for number in (entry["version_from"], entry["version_to"])
    )
    return f"{entry['alias']} {gone} → {come}" if entry["alias"] else f"version {come}"


def _verdict(history: History) -> int:
    for problem in history.problems:
        say(f"error: {problem}")
    by_hand = [str(entry["number"]) for entry in history.entries if entry["action"] == FOUND]
    if by_hand:
        count = "1 entry was" if len(by_hand) == 1 else f"{len(by_hand)} entries were"
        say(f"{count} made outside downstream: {', '.join(by_hand)}")
    if history.problems:
        say("The log does not hold: MLflow's database was altered; restore it from a backup")
        return BROKEN
    say(f"The chain of {len(history.entries)} entries holds")
    return 0
