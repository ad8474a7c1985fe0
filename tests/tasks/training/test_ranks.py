"""What goes wrong in a rank; that ranks learn the same is ``test_ranks_of_objectives``."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from tasks.errors import BadInput, Preempted
from tasks.training import ranks as _ranks
from tasks.training.launcher import SECONDS_TO_CHECKPOINT
from tasks.training.preemption import preemption
from tasks.training.ranks import gathered, launch, rank, sum_gradients


def refuse(what: str) -> None:
    raise BadInput(f"{what} is not to be had: choose another")


def test_what_a_rank_raises_is_raised_here() -> None:
    with pytest.raises(BadInput, match=r"^the corpus is not to be had: choose another$"):
        launch(2, refuse, "the corpus")


SHAPES = [(3, 4), (5,), (2, 6), (30,), (1,), (4, 2)]


def gradients(rank: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return [torch.randn(shape, generator=generator) for shape in SHAPES]


def summed_in_buckets() -> list[torch.Tensor]:
    """Add up gradients in buckets of 20 numbers, and one that is larger."""
    _ranks.NUMBERS_IN_BUCKET = 20
    trained = [torch.nn.Parameter(torch.zeros(shape)) for shape in SHAPES]
    frozen = torch.nn.Parameter(torch.zeros(3))
    for value, gradient in zip(trained, gradients(rank()), strict=True):
        value.grad = gradient
    sum_gradients([trained[0], frozen, *trained[1:]])
    return [value.grad for value in trained if value.grad is not None]


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_gradients_are_added_up_and_signals_mean_afterwards_what_they_meant_before() -> None:
    before = handlers()
    found = launch(2, summed_in_buckets)
    assert handlers() == before
    for one, other, both in zip(gradients(0), gradients(1), found, strict=True):
        assert both.equal(one + other)


def work_on_alone(stopped_at: Path) -> None:
    """Be done in the second rank; in the first, be stopped in what it alone does at the end."""
    if os.environ["RANK"] == "0":
        time.sleep(0.5)
        stopped_at.write_text(str(time.monotonic()))
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)


def test_a_rank_that_is_done_does_not_hold_up_the_end_after_sigterm(tmp_path: Path) -> None:
    stopped_at = tmp_path / "stopped_at"
    with pytest.raises(Preempted, match="stopped by SIGTERM"):
        launch(2, work_on_alone, stopped_at)
    assert time.monotonic() - float(stopped_at.read_text()) < 0.9 * SECONDS_TO_CHECKPOINT


def hears() -> list[bool]:
    """Begin to train; return which ranks would end by themselves at SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    with preemption():
        return gathered(signal.getsignal(signal.SIGTERM) is not before)


def test_the_first_rank_alone_ends_at_sigterm_so_that_its_step_has_the_others_help() -> None:
    assert launch(2, hears) == [True, False]
