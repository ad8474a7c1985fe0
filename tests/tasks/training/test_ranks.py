"""What goes wrong in a rank; that ranks learn the same is ``test_ranks_of_objectives``."""

import signal

import pytest

from tasks.errors import BadInput
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
