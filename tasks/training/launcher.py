"""A training in several processes: a rank a device, under torchrun's elastic launcher.

It is imported where ``devices`` is above 1 alone, so that a change here makes no other row stale.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import errors
from tasks.contracts import files
from tasks.contracts.params import RESTARTS_VARIABLE
from tasks.errors import BadSettings, DownstreamError, Preempted, StageFailed
from tasks.parent import die_with_parent
from tasks.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.training.spread.nodes import Ended, Place, Work

SECONDS_TO_CHECKPOINT = 10
LONGEST_VALIDATION = timedelta(hours=12)
"""The other ranks wait while the first validates; NCCL's own limit is ten minutes."""


class RanksLost(Exception):
    """Ranks of this node have ended before they were done.

    Attributes:
        lost: which one first, and how.
        error: what was raised first in any, as ``kind``, ``text`` and ``at``; ``None``: nothing.
    """

    def __init__(self, lost: str, error: dict[str, Any] | None) -> None:
        super().__init__(lost)
        self.lost = lost
        self.error = error


def launch_ranks(
    num_ranks: int,
    run: Callable[..., Any],
    arguments: tuple[Any, ...],
    restarts: int = 0,
    nodes: int = 1,
) -> Any:
    """Call ``run(*arguments)`` in one process a rank; return rank 0's result.

    Args:
        num_ranks: how many, on each node.
        run: a function that can be imported by name, and goes on from its last checkpoint.
        arguments: values that can be pickled.
        restarts: how often all are started again after one was lost; 0: as the workspace says.
        nodes: how many machines.

    Raises:
        BadInput: the nodes are not named, or one does not start.
        BadSettings: the machine has fewer GPUs.
        Preempted: SIGTERM came.
        DownstreamError: what a rank raised.
    """
    # That of the row counts; that of the workspace makes no finished row stale.
    restarts = restarts or int(os.environ.get(RESTARTS_VARIABLE, "0"))
    for left in range(restarts, -1, -1):
        with tempfile.TemporaryDirectory() as folder, _same_handlers():
            try:
                if nodes == 1:
                    return _run_here(num_ranks, run, arguments, Path(folder))[0]
                return _run_on_nodes(nodes, num_ranks, run, arguments, Path(folder))[0]
            except RanksLost as lost:
                # When one is lost, the launcher sends the others SIGTERM: that is no error either.
                if left and (lost.error is None or lost.error["kind"] == Preempted.__name__):
                    say(f"a rank was lost ({lost}): all start again from the last checkpoint")
                    continue
                if lost.error is None:
                    raise StageFailed(f"a rank failed: {lost}") from lost
                raise getattr(errors, lost.error["kind"])(lost.error["text"]) from lost
    raise AssertionError("the last start returns or raises")


def run_on_node(place: Place, work: Work) -> Ended:
    """Run the ranks of another node than the first; return how they have ended."""
    from tasks.training.spread.nodes import Ended

    with tempfile.TemporaryDirectory() as folder:
        try:
            _run_here(work.num_ranks, work.run, work.arguments, Path(folder), place)
        except RanksLost as lost:
            return Ended(lost.lost, lost.error)
        except Preempted as stopped:
            return Ended(str(stopped))
    return Ended()


def _run_on_nodes(
    nodes: int,
    num_ranks: int,
    run: Callable[..., Any],
    arguments: tuple[Any, ...],
    folder: Path,
) -> dict[int, Any]:
    """Run the ranks of all nodes; return the results of those here, by rank."""
    from tasks.training.spread.nodes import Work, environment, others_started

    work = Work(run, arguments, num_ranks, environment())
    with others_started(nodes, work, folder) as others:
        try:
            return _run_here(num_ranks, run, arguments, folder, others.place)
        except RanksLost as here:
            raised = [error for error in (here.error, *others.errors()) if error is not None]
            # Where one has raised something, the others only miss it.
            told = [error for error in raised if error["kind"] != Preempted.__name__]
            raise RanksLost(here.lost, next(iter(told or raised), None)) from here


def _run_here(
    num_ranks: int,
    run: Callable[..., Any],
    arguments: tuple[Any, ...],
    folder: Path,
    place: Place | None = None,
) -> dict[int, Any]:
    """Run the ranks of this node; return their results by rank.

    Args:
        num_ranks: how many.
        run: what each calls.
        arguments: with which.
        folder: an empty one, for what they note.
        place: of this node among several.

    Raises:
        BadSettings: the machine has fewer GPUs.
        Preempted: SIGTERM came.
        RanksLost: not all have come to an end.
    """
    import torch
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher import LaunchConfig, elastic_launch

    num_gpus = torch.cuda.device_count()
    if 0 < num_gpus < num_ranks:
        raise BadSettings(
            f"devices is {num_ranks}, but this process may use {num_gpus} GPUs: lower it, or run "
            "on a larger machine"
        )
    alone = {
        "min_nodes": 1,
        "max_nodes": 1,
        "rdzv_backend": "c10d",
        "rdzv_endpoint": "localhost:0",
    }
    config = LaunchConfig(
        **(alone if place is None else place.rendezvous()),
        nproc_per_node=num_ranks,
        run_id=f"downstream-{os.getpid()}" if place is None else "downstream",
        max_restarts=0,
        shutdown_timeout=SECONDS_TO_CHECKPOINT,
    )
    try:
        results: dict[int, Any] = elastic_launch(config, _rank)(folder, run, arguments, place)
    except ChildFailedError as failure:
        told: Any = failure.get_first_failure()[1].message  # of an exception, with its traceback
        lost = told["message"] if isinstance(told, dict) else told
        raise RanksLost(str(lost), _first_error(folder)) from failure
    except SignalException:
        raise Preempted("stopped by SIGTERM: run again to go on from the checkpoint") from None
    return results


@contextmanager
def _same_handlers() -> Iterator[None]:
    # The launcher raises its own exception at a signal, and would go on doing so when it is done.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _rank(
    notes: Path, run: Callable[..., Any], arguments: tuple[Any, ...], place: Place | None
) -> Any:
    """Be one of the ranks that the launcher has started."""
    is_first = os.environ["RANK"] == "0"
    # Rank 0 is given the time to write a checkpoint; the others have nothing to lose.
    die_with_parent(signal.SIGTERM if is_first else signal.SIGKILL)
    import torch
    import torch.distributed as dist

    if place is not None:
        notes.joinpath(f"{os.getpid()}.pid").touch()
        place.use_network()
    was_stopped = False

    def remember(*_: object) -> None:
        nonlocal was_stopped
        was_stopped = True

    if not is_first:
        # The launcher sends SIGTERM to all; rank 0 ends its step first, with the others' help.
        signal.signal(signal.SIGTERM, remember)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=LONGEST_VALIDATION)
    try:
        return run(*arguments)
    except DownstreamError as error:
        raised = {"kind": type(error).__name__, "text": str(error), "at": time.time()}
        files.write_json(notes / f"{dist.get_rank()}.json", raised)
        sys.exit(1)
    finally:
        dist.destroy_process_group()
        if not is_first:
            # What is left is to wait until rank 0 is done and the launcher has read the result.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if was_stopped:
                sys.exit(1)


def _first_error(folder: Path) -> dict[str, Any] | None:
    """Return what was raised first in any rank of this node."""
    raised = map(files.read_json, folder.glob("*.json"))
    return min(raised, key=lambda error: error["at"], default=None)
