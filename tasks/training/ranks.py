"""The processes of one training: one, or a rank a device (``launcher``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import torch
    from torch import nn

T = TypeVar("T")
NUMBERS_IN_BUCKET = 1 << 25
"""Of gradients that are sent at once: 134 MB in fp32; two buckets are held beside the gradients."""


def launch(
    num_ranks: int,
    run: Callable[..., Any],
    *arguments: Any,
    restarts: int = 0,
    nodes: int = 1,
) -> Any:
    """Call ``run(*arguments)`` here, or in one process a rank; return (rank 0's) result.

    Args:
        num_ranks: how many, on each node.
        run: a function that can be imported by name.
        arguments: values that can be pickled.
        restarts: how often all ranks are started again after one was lost.
        nodes: how many machines.

    Raises:
        BadInput: the nodes are not named, or one does not start.
        BadSettings: the machine has fewer GPUs.
        Preempted: SIGTERM came.
        DownstreamError: what a rank raised.
    """
    if num_ranks * nodes == 1:
        return run(*arguments)
    from tasks.training.launcher import launch_ranks

    return launch_ranks(num_ranks, run, arguments, restarts, nodes)


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
    """Add up the gradients over all ranks, in buckets, of which the next is filled meanwhile."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return
    on_the_way: list[tuple[Any, torch.Tensor, list[torch.Tensor]]] = []
    for bucket in _buckets([value.grad for value in parameters if value.grad is not None]):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        on_the_way.append((dist.all_reduce(flat, async_op=True), flat, bucket))
        if len(on_the_way) > 1:
            _take(*on_the_way.pop(0))
    for sent in on_the_way:
        _take(*sent)


def _take(work: Any, flat: torch.Tensor, bucket: list[torch.Tensor]) -> None:
    work.wait()
    for gradient, summed in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def _buckets(gradients: list[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Yield gradients of one kind, at most so many numbers at once; one that is larger alone."""
    bucket: list[torch.Tensor] = []
    held = 0
    for gradient in gradients:
        if bucket and (
            held + gradient.numel() > NUMBERS_IN_BUCKET or gradient.dtype != bucket[0].dtype
        ):
            yield bucket
            bucket, held = [], 0
        bucket.append(gradient)
        held += gradient.numel()
    if bucket:
        yield bucket


def share_weights(model: nn.Module) -> None:
    """Give all ranks the first one's weights and buffers."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return
    for value in (*model.parameters(), *model.buffers()):
        dist.broadcast(value.detach(), src=0)


def agreed(decision: bool) -> bool:
    """Return rank 0's decision to all ranks."""
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        return decision
    device = "cuda" if torch.cuda.is_available() else "cpu"
    decided = torch.tensor([decision], dtype=torch.int64, device=device)
    dist.broadcast(decided, src=0)
    return bool(decided.item())


def gathered(value: T) -> list[T]:
    """Return what each rank gives, by rank, on all ranks."""
    import torch.distributed as dist

    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
