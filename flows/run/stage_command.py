"""One stage's command: its output line by line, and its end with ours."""

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from tasks.errors import StageFailed
from tasks.stage_process.failure import forget_failure, was_transient

LAST_LINES_KEPT = 20
NICENESS = 10
TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)
"""Exit codes after SIGTERM, of the process itself and as a shell tells it."""


class RunStoppedError(Exception):
    """A stage was ended because the whole run was."""


class TransientError(StageFailed):
    """A failure that may go away by itself, so that the same stage is worth another try."""


class Processes:
    """The stages that run now, so that all of them can be ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self.stopping = False

    def run(
        self,
        name: str,
        command: list[str] | str,
        environment: dict[str, str],
        on_line: Callable[[str], None],
        niced: bool = False,
    ) -> None:
        """Run a stage's command to its end.

        Args:
            name: the stage, for errors.
            command: a shell command, or several, as ``dvc.yaml`` has them.
            environment: added to this process' environment.
            on_line: is given each line of its output.
            niced: let other processes go first.

        Raises:
            StageFailed: it ended with an error; the message ends with its last line.
            TransientError: the error may go away by itself (a network, a machine taken back).
            RunStoppedError: ``stop`` was called.
        """
        forget_failure(name)
        lines = command if isinstance(command, list) else command.splitlines()
        for line in lines:
            nice = ["nice", "-n", str(NICENESS)] if niced else []
            process = self._start([*nice, "/bin/sh", "-c", line], environment)
            self._follow(name, process, on_line)

    def _start(self, arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
        with self._lock:
            if self.stopping:
                raise RunStoppedError
            process = subprocess.Popen(  # noqa: S603
                arguments,
                env={
                    **os.environ,
                    **environment,
                    "PATH": path_of_stages(),
                    "PYTHONUNBUFFERED": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                # Ctrl-C in a terminal goes to a whole process group; a stage gets SIGTERM from us.
                process_group=0,
            )
            self._running.add(process)
            return process

    def _follow(
        self, name: str, process: "subprocess.Popen[str]", on_line: Callable[[str], None]
    ) -> None:
        last: deque[str] = deque(maxlen=LAST_LINES_KEPT)
        with process:
            for line in process.stdout or ():
                last.append(line.rstrip())
                on_line(line.rstrip())
        code = process.returncode
        with self._lock:
            self._running.discard(process)
        if self.stopping:
            raise RunStoppedError
        failure = failure_of(name, code, last)
        if failure:
            raise failure

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End every running stage, and let no other start."""
        with self._lock:
            self.stopping = True
            for process in self._running:
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    continue


def failure_of(name: str, code: int, last: Iterable[str]) -> StageFailed | None:
    """Return what a stage's command failed with; None where it ended well.

    Args:
        name: the stage.
        code: its exit code.
        last: its last lines.
    """
    if code == 0:
        return None
    transient = code in TERMINATED or was_transient(name)
    return (TransientError if transient else StageFailed)(
        f"{name} failed: {_reason(code, [*last])}"
    )


def path_of_stages() -> str:
    """Return a PATH on which ``python`` is the one that runs the flow."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _reason(code: int, last: list[str]) -> str:
    """Return a stage's own error: its ``error:`` line and what follows, else its last line."""
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    starts = [index for index, line in enumerate(last) if line.startswith("error: ")]
    if starts:
        return "\n".join(last[starts[-1] :]).removeprefix("error: ")
    said = [line for line in last if line.strip()]
    return f"{ended}: {said[-1]}" if said else ended
