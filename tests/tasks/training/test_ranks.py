"""What goes wrong in a rank; that ranks learn the same is ``test_ranks_of_objectives``."""

import pytest

from tasks.errors import BadInput
from tasks.training.ranks import launch


def refuse(what: str) -> None:
    raise BadInput(f"{what} is not to be had: choose another")


def test_what_a_rank_raises_is_raised_here() -> None:
    with pytest.raises(BadInput, match=r"^the corpus is not to be had: choose another$"):
        launch(2, refuse, "the corpus")
