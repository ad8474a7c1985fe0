"""The processes of one training: one, or a rank a device under torchrun's elastic launcher."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from tasks import errors
from tasks.errors import BadSettings, DownstreamError, StageFailed
from tasks.parent import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch
    from torch import nn

SECONDS_TO_CHECKPOINT = 10


def launch(num_ranks: int, run: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``run(*arguments)`` here, or in one process a rank; return (rank 0's) result.

    Args:
        num_ranks: how many.
        run: a function that can be imported by name.
        arguments: values that can be pickled.

    Raises:
        BadSettings: the machine has fewer GPUs.
        DownstreamError: what a rank raised.
    """
    if num_ranks == 1:
        return run(*arguments)
    import torch
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

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
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        shutdown_timeout=SECONDS_TO_CHECKPOINT,
    )
    try:
        return elastic_launch(config, _rank)(run, arguments)[0]
    except ChildFailedError as failure:
        raise _first_error(failure) from None


def _rank(run: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Be one of the ranks that the launcher has started."""
    die_with_parent()
    from torch.distributed.elastic.multiprocessing.errors import record

    return record(_run_in_group)(run, arguments)


def _run_in_group(run: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    import torch
    import torch.distributed as dist

    if int(os.environ["RANK"]) > 0:
        # Rank 0 writes the checkpoint, at the end of a step that it needs the others for.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        return run(*arguments)
    finally:
        dist.destroy_process_group()


def _first_error(failure: Any) -> DownstreamError:
    """Return what the first failed rank raised, as the kind of error that it was."""
    _, first = failure.get_first_failure()
    kind, _, text = first.message.partition(": ")
    raised = getattr(errors, kind, None)
    if isinstance(raised, type) and issubclass(raised, DownstreamError):
        return raised(text)
    return StageFailed(f"rank {first.local_rank} failed: {first.message}")


def rank() -> int:
    """Return this process' number, from 0."""
    import torch.distributed as dist

    return dist.get_rank() if dist.is_initialized() else 0


def num_ranks() -> int:
    """Return how many processes train together."""
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_ranks(value: torch.Tensor) -> torch.Tensor:
    """Add a tensor up over all ranks, in place."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.all_reduce(value)
    return value


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up the gradients over all ranks, as one flat tensor."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return
    gradients = [value.grad for value in parameters if value.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def agreed(decision: bool) -> bool:
    """Return rank 0's decision to all ranks."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return decision
    device = "cuda" if torch.cuda.is_available() else "cpu"
    told = torch.tensor([decision], dtype=torch.int64, device=device)
    dist.broadcast(told, src=0)
    return bool(told.item())
