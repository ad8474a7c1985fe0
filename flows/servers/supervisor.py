"""Servers that are started, watched and stopped together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tasks.contracts import paths
from tasks.errors import DownstreamError

HOST = "127.0.0.1"
LOGS = paths.STATE / "logs"
START_TIMEOUT_SECONDS = 180
STOP_TIMEOUT_SECONDS = 20
POLL_SECONDS = 0.2
SERVING = "Serving "
"""How the line of ``downstream serve`` begins that says that it takes runs from now on."""


@dataclass(frozen=True)
class Server:
    """One program that runs until it is stopped."""

    name: str
    command: list[str]
    answers: Callable[["Server"], bool]
    """Tells whether it is ready."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Where its lines go."""
        return LOGS / f"{self.name}.log"


class Servers:
    """Those that run now, in order of their start; they end with this process, also by kill -9."""

    def __init__(self) -> None:
        self._running: list[tuple[Server, subprocess.Popen[bytes]]] = []

    def start(self, server: Server) -> None:
        """Start a server and wait until it answers; see ``launch`` and ``wait_for``."""
        self.launch(server)
        self.wait_for(server)

    def launch(self, server: Server) -> None:
        """Start a server."""
        LOGS.mkdir(parents=True, exist_ok=True)
        with server.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "flows.servers.child", *server.command],
                env={**os.environ, **server.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in a terminal goes to a whole process group; these get SIGTERM from us.
                process_group=0,
            )
        self._running.append((server, process))

    def wait_for(self, server: Server) -> None:
        """Wait until a server answers.

        Raises:
            DownstreamError: it, or one that was started before, has ended; or it does not answer.
        """
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not server.answers(server):
            self.require_alive()
            if time.monotonic() > deadline:
                raise DownstreamError(
                    f"{server.name} does not answer after {START_TIMEOUT_SECONDS} s: see "
                    f"{server.log}"
                )
            time.sleep(POLL_SECONDS)

    def watch(self) -> None:
        """Wait until one of them ends by itself.

        Raises:
            DownstreamError: when that happens.
        """
        while True:
            self.require_alive()
            time.sleep(POLL_SECONDS)

    def require_alive(self) -> None:
        """Check that all of them still run.

        Raises:
            DownstreamError: one has ended; the message names its log.
        """
        for server, process in self._running:
            code = process.poll()
            if code is not None:
                how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                raise DownstreamError(
                    f"{server.name} has ended ({how}), so the others were stopped: see {server.log}"
                )

    def stop(self) -> None:
        """End all of them, the last one first; what does not end is killed."""
        for _, process in reversed(self._running):
            _signal(process, signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            finally:
                # Also what it has left behind in its group.
                _signal(process, signal.SIGKILL)
                process.wait()
        self._running.clear()


@contextmanager
def running() -> Iterator[Servers]:
    """Hold servers that are stopped at the end of the body, however it ends; SIGTERM ends it too.

    A second Ctrl-C or SIGTERM does not interrupt the stopping.
    """
    servers = Servers()
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield servers
    finally:
        kept = [signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)]
        servers.stop()
        signal.signal(signal.SIGINT, kept[0])
        signal.signal(signal.SIGTERM, before)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def require_free(ports: dict[str, int]) -> None:
    """Check that ports can be listened on.

    Args:
        ports: by the flag that chooses each.

    Raises:
        DownstreamError: one is taken, or two are the same.
    """
    for flag, port in ports.items():
        others = [other for other, number in ports.items() if number == port and other != flag]
        if others:
            raise DownstreamError(f"{flag} and {others[0]} are both {port}: choose two ports")
        with socket.socket() as probe:
            # As the servers do: a port whose last connection has just ended is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError) as error:
                reason = getattr(error, "strerror", None) or "no port number: 1 to 65535"
                raise DownstreamError(
                    f"{flag} {port}: cannot listen on {HOST}:{port} ({reason}): stop what "
                    f"does, or choose another with {flag}"
                ) from None


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
