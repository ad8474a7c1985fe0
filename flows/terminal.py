"""How anything is printed: tables, durations and sizes, and text that others have written.

Text from data, from people or from a server goes through ``tasks.plain_text.plain``, as every cell
of a ``table`` does, every line of ``say`` and the text of every error: nothing in it is markup, no
control character of it steers the terminal, no address in it has a password, and of a line that is
too long the middle is left out. What the console prints beside is printable and has no password.
"""

import json
import sys
from collections.abc import Collection
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.plain_text import plain, printable

PIPE_WIDTH = 160
UNITS = ("B", "kB", "MB", "GB", "TB")


class PlainConsole(Console):
    """A console whose texts are shown as they are."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; a text is made ``printable``."""
        super().print(
            *(printable(each) if isinstance(each, str) else each for each in objects), **options
        )


def console() -> PlainConsole:
    """Return where tables go: as wide as the terminal, and wide enough where there is none."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return PlainConsole(width=width, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """Print a value as JSON in which every sign that would steer a terminal is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    escaped = (
        sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text
    )
    sys.stdout.write("".join(escaped) + "\n")


class PlainTable(Table):
    """A table without lines, whose texts are shown as they are."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; cells that are no ``Text`` with a style of its own are made ``plain``."""
        super().add_row(
            *(Text(plain(cell)) if isinstance(cell, str) else cell for cell in cells), **options
        )


def table(*columns: str, right: Collection[str] = ()) -> PlainTable:
    """Return an empty table; what is too long for its column goes on below.

    Args:
        columns: the headings.
        right: those of them whose cells are numbers.
    """
    made = PlainTable(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``0.4 s``, ``81 s``, ``12 min``, ``2 h 05 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(num_bytes: int) -> str:
    """Return a size as people say it: ``512 B``, ``1.5 MB``."""
    amount = float(num_bytes)
    for unit in UNITS:
        if amount < 1000 or unit == UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError
