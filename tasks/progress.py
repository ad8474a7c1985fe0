"""Progress of long work: a bar in a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tasks.plain_text import plain

LINE_EVERY_SECONDS = 10.0


class Reporter(Protocol):
    """What long work tells how far it is."""

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count ``count`` more steps done; ``note`` is shown beside them."""


class _Bar:
    def __init__(self, description: str, total: int | None, done: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(description, total=total, completed=done, note="")

    def advance(self, count: int = 1, note: str = "") -> None:
        fields = {"note": note} if note else {}
        self._bar.update(self._task, advance=count, **fields)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


class _Lines:
    def __init__(self, description: str, total: int | None, done: int) -> None:
        self._description = description
        self._total = total
        self._done = done
        self._note = ""
        self._started = self._last = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self._done += count
        self._note = note or self._note
        if time.monotonic() - self._last >= LINE_EVERY_SECONDS:
            self._last = time.monotonic()
            self._print()

    def finish(self) -> None:
        if self._last > self._started:
            self._print()

    def _print(self) -> None:
        of_total = f"/{self._total:,}" if self._total else ""
        say(f"{self._description}: {self._done:,}{of_total} {self._note}".rstrip())


@contextmanager
def progress(description: str, total: int | None = None, done: int = 0) -> Iterator[Reporter]:
    """Show how far long work is.

    Args:
        description: what is being done.
        total: how many steps there will be, where that is known.
        done: how many of them were done before.
    """
    if sys.stderr.isatty():
        with _Bar(description, total, done) as bar:
            yield bar
    else:
        lines = _Lines(description, total, done)
        yield lines
        lines.finish()


def say(line: str) -> None:
    """Print a line of what has been done, as ``plain`` text; a reader who is gone is no error."""
    with suppress(BrokenPipeError):
        print(plain(line), file=sys.stderr, flush=True)
