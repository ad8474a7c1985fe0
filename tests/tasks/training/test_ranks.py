"""What goes wrong in a rank; that ranks learn the same is ``test_ranks_of_objectives``."""

import os
import signal
import time

import pytest

from tasks.errors import BadInput, Preempted
from tasks.training.launcher import SECONDS_TO_CHECKPOINT
from tasks.training.ranks import launch


def refuse(what: str) -> None:
    raise BadInput(f"{what} is not to be had: choose another")


def test_what_a_rank_raises_is_raised_here() -> None:
    with pytest.raises(BadInput, match=r"^the corpus is not to be had: choose another$"):
        launch(2, refuse, "the corpus")


def nothing() -> None:
    """Be a rank with nothing to do."""


def test_signals_mean_afterwards_what_they_meant_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    launch(2, nothing)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def work_on_alone() -> None:
    """Be done in the second rank; in the first, be stopped in what it alone does at the end."""
    if os.environ["RANK"] == "0":
        time.sleep(0.5)
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)


def test_a_rank_that_is_done_does_not_hold_up_the_end_after_sigterm() -> None:
    begun = time.monotonic()
    with pytest.raises(Preempted, match="stopped by SIGTERM"):
        launch(2, work_on_alone)
    assert time.monotonic() - begun < 0.8 * SECONDS_TO_CHECKPOINT
