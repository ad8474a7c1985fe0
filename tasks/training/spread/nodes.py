"""The nodes of a training: machines that each give it some ranks, started by the first of them.

The stage's own process is on the first node. It starts ``python -m tasks.stage_process.node`` on
each of the others by a command (ssh, SLURM's srun), tells it by its standard input what to run, and
all meet at a free port of the first. A node whose input ends, since the first is gone, ends too.

Which machines these are is no parameter: it changes no byte, and is different tomorrow.

    DOWNSTREAM_NODES="10.0.0.1 10.0.0.2"           addresses, the first node's first
    DOWNSTREAM_NODE_COMMAND="ssh {node}"           starts what is appended to it on that node

All see the workspace under the same path.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

NODES = "DOWNSTREAM_NODES"
COMMAND = "DOWNSTREAM_NODE_COMMAND"
SSH = "ssh {node}"
PROGRAM = "tasks.stage_process.node"
SNAPSHOT = "DOWNSTREAM_SNAPSHOT"
OWN = "DOWNSTREAM_"
"""What the variables begin with that a node is given."""
READY = "ready"
SECONDS_TO_END = 30
SECONDS_TO_MEET = 600
"""After all have said that they are there."""


@dataclass(frozen=True)
class Place:
    """Where some ranks of a training run.

    Attributes:
        addresses: of all nodes, the first node's first.
        number: of this one among them.
        port: of the first node, where all meet.
    """

    addresses: tuple[str, ...]
    number: int
    port: int

    def rendezvous(self) -> dict[str, Any]:
        """Return what torchrun's ``LaunchConfig`` has to know."""
        return {
            "min_nodes": len(self.addresses),
            "max_nodes": len(self.addresses),
            "rdzv_backend": "static",  # the first node's rank is rank 0, which has the result
            "rdzv_endpoint": f"{self.addresses[0]}:{self.port}",
            "rdzv_configs": {"rank": self.number, "timeout": SECONDS_TO_MEET},
            "local_addr": self.addresses[self.number],
        }

    def use_network(self) -> None:
        """Have gloo listen where the other nodes reach this one; it would look up the host name."""
        import psutil  # type: ignore[import-untyped]

        own = socket.gethostbyname(self.addresses[self.number])
        for interface, addresses in psutil.net_if_addrs().items():
            if own in (address.address for address in addresses):
                os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)


@dataclass(frozen=True)
class Work:
    """What a node is told to do."""

    run: Callable[..., Any]
    arguments: tuple[Any, ...]
    num_ranks: int
    environment: dict[str, str]


@dataclass(frozen=True)
class Ended:
    """How the ranks of a node have ended.

    Attributes:
        lost: which was lost, in words; ``None`` if all are done.
        error: what was raised first, as ``kind``, ``text`` and ``at``; ``None`` if nothing was.
    """

    lost: str | None = None
    error: dict[str, Any] | None = None


@dataclass
class OtherNodes:
    """The other nodes of one start.

    Attributes:
        place: of this node.
        ended: how the others' ranks have ended, as far as they have told.
    """

    place: Place
    ended: list[Ended] = field(default_factory=list)
    waiting: list[threading.Thread] = field(default_factory=list)

    def errors(self) -> list[dict[str, Any]]:
        """Return what was raised on them, when all have told or are gone."""
        for thread in self.waiting:
            thread.join(SECONDS_TO_END)
        return [ended.error for ended in self.ended if ended.error is not None]


def addresses_of(num_nodes: int) -> tuple[str, ...]:
    """Return the addresses of the nodes, this one's first.

    Raises:
        BadInput: so many are not named.
    """
    named = tuple(os.environ.get(NODES, "").replace(",", " ").split())
    if len(named) < num_nodes:
        raise BadInput(
            f"training.nodes is {num_nodes}, but {NODES} names {len(named)}: set it to the "
            "addresses of the nodes, with spaces between and this one's first"
        )
    return named[:num_nodes]


@contextmanager
def others_started(num_nodes: int, work: Work, ranks: Path) -> Iterator[OtherNodes]:
    """Start the other nodes, and end them with the body.

    Args:
        num_nodes: how many there are, with this one.
        work: what each is to do.
        ranks: a folder with a file for each rank of this node, which is named by its process; they
            are killed where another node is lost, for whom they would wait.

    Raises:
        BadInput: they are not named, or one does not start.
    """
    addresses = addresses_of(num_nodes)
    started: list[tuple[subprocess.Popen[bytes], Connection, Connection]] = []
    try:
        for address in addresses[1:]:
            started.append(_start(address))
            _send(started[-1][1], work)
        for address, (_, _, answers) in zip(addresses[1:], started, strict=True):
            if _answer(answers) != READY:
                raise BadInput(
                    f"node {address} did not start: what it printed stands above; {COMMAND} is the "
                    f"command that has to start a program there ({_command(address)})"
                )
        others = OtherNodes(Place(addresses, 0, _free_port(addresses[0])))
        for number, (_, orders, answers) in enumerate(started, start=1):
            _send(orders, Place(addresses, number, others.place.port))
            thread = threading.Thread(
                target=_wait_for, args=(addresses[number], answers, others, ranks), daemon=True
            )
            others.waiting.append(thread)
            thread.start()
        yield others
    finally:
        for _, orders, _ in started:
            orders.close()
        for process, _, answers in started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_END)
            process.kill()
            process.wait()
            answers.close()


def environment() -> dict[str, str]:
    """Return what a node has to have in its environment as this one has."""
    return {name: value for name, value in os.environ.items() if name.startswith(OWN)}


def kill_ranks(ranks: Path) -> None:
    """Kill the ranks of this node, which would wait for others that are gone."""
    for path in ranks.glob("*.pid"):
        with suppress(ProcessLookupError):
            os.kill(int(path.stem), signal.SIGKILL)


def _start(address: str) -> tuple[subprocess.Popen[bytes], Connection, Connection]:
    """Start the program on a node; return it, and what it is told and answers by."""
    read, orders = Pipe(duplex=False)
    answers, written = Pipe(duplex=False)
    with read, written:
        process = subprocess.Popen(  # noqa: S603 - what the user has set
            _command(address), stdin=read.fileno(), stdout=written.fileno()
        )
    return process, orders, answers


def _command(address: str) -> list[str]:
    """Return what starts a node; ssh puts the words together, and a shell takes them apart."""
    snapshot = [f"{SNAPSHOT}={os.environ[SNAPSHOT]}"] if SNAPSHOT in os.environ else []
    program = ["env", "-C", str(Path.cwd()), *snapshot, sys.executable, "-m", PROGRAM]
    start = shlex.split(os.environ.get(COMMAND, SSH).format(node=address))
    return [*start, *(shlex.quote(word) for word in program)]


def _send(orders: Connection, order: Any) -> None:
    with suppress(BrokenPipeError):  # that it is gone is told by its answers
        orders.send(order)


def _answer(answers: Connection) -> Any:
    """Return what a node says next; ``None`` if it is gone."""
    try:
        return answers.recv()
    except (EOFError, OSError):
        return None


def _wait_for(address: str, answers: Connection, others: OtherNodes, ranks: Path) -> None:
    ended = _answer(answers) or Ended(lost=f"node {address} is gone")
    others.ended.append(ended)
    if ended.lost is not None:
        kill_ranks(ranks)


def _free_port(address: str) -> int:
    with socket.socket() as free:
        try:
            free.bind((address, 0))
        except OSError as error:
            raise BadInput(
                f"{NODES}: {address} is no address of this machine ({error.strerror}): name this "
                "node first"
            ) from None
        port: int = free.getsockname()[1]
    return port
