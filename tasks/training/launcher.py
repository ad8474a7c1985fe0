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
from tasks.errors import BadSettings, DownstreamError, Preempted, StageFailed
from tasks.parent import die_with_parent
from tasks.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_TO_CHECKPOINT = 10
LONGEST_VALIDATION = timedelta(hours=12)
"""The other ranks wait while the first validates; NCCL's own limit is ten minutes."""


def launch_ranks(
    num_ranks: int, run: Callable[..., Any], arguments: tuple[Any, ...], restarts: int = 0
) -> Any:
    """Call ``run(*arguments)`` in one process a rank; return rank 0's result.

    Args:
        num_ranks: how many.
        run: a function that can be imported by name, and goes on from its last checkpoint.
        arguments: values that can be pickled.
        restarts: how often all are started again after one was lost.

    Raises:
        BadSettings: the machine has fewer GPUs.
        Preempted: SIGTERM came.
        DownstreamError: what a rank raised.
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
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_ranks,
        run_id=f"downstream-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        shutdown_timeout=SECONDS_TO_CHECKPOINT,
    )
    for left in range(restarts, -1, -1):
        with tempfile.TemporaryDirectory() as folder, _same_handlers():
            try:
                return elastic_launch(config, _rank)(Path(folder), run, arguments)[0]
            except ChildFailedError as failure:
                error = _first_error(Path(folder))
                lost = failure.get_first_failure()[1].message
                # When one is lost, the launcher sends the others SIGTERM: that is no error either.
                if left and (error is None or isinstance(error, Preempted)):
                    say(f"a rank was lost ({lost}): all start again from the last checkpoint")
                    continue
                raise error or StageFailed(f"a rank failed: {lost}") from failure
            except SignalException:
                raise Preempted(
                    "stopped by SIGTERM: run again to go on from the checkpoint"
                ) from None
    raise AssertionError("the last start returns or raises")


@contextmanager
def _same_handlers() -> Iterator[None]:
    # The launcher raises its own exception at a signal, and would go on doing so when it is done.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _rank(errors_folder: Path, run: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Be one of the ranks that the launcher has started."""
    is_first = os.environ["RANK"] == "0"
    # Rank 0 is given the time to write a checkpoint; the others have nothing to lose.
    die_with_parent(signal.SIGTERM if is_first else signal.SIGKILL)
    import torch
    import torch.distributed as dist

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
        files.write_json(errors_folder / f"{dist.get_rank()}.json", raised)
        sys.exit(1)
    finally:
        dist.destroy_process_group()
        if not is_first:
            # What is left is to wait until rank 0 is done and the launcher has read the result.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if was_stopped:
                sys.exit(1)


def _first_error(folder: Path) -> DownstreamError | None:
    """Return what was raised first in any rank, as the kind of error that it was."""
    raised = sorted(map(files.read_json, folder.glob("*.json")), key=lambda error: error["at"])
    return getattr(errors, raised[0]["kind"])(raised[0]["text"]) if raised else None
