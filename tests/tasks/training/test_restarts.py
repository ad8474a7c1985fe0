"""A rank that is lost: all start again from the last checkpoint, and end in the same bytes."""

import os
import signal
from pathlib import Path

import pytest
from torch import Tensor

from tasks.contracts.params import RESTARTS, RESTARTS_VARIABLE, set_variables
from tasks.errors import BadInput
from tasks.training import checkpoints as _checkpoints
from tasks.training.checkpoints import Checkpoints
from tasks.training.loop import train
from tasks.training.ranks import launch, rank
from tasks.training.settings import TrainingSettings
from tasks.training.task import Batch
from tests.tasks.training.test_loop import Line, weights

SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=0.05, precision="fp32")


class Lost(Line):
    """A line whose second rank is killed once, in the middle."""

    def __init__(self, marker: Path) -> None:
        super().__init__()
        self._marker = marker

    def loss(self, batch: Batch) -> Tensor:
        """Return the squared error, and die at the sixth step."""
        if rank() == 1 and self._steps == 5 and not self._marker.exists():
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch)


def weights_of_line(folder: Path, *, is_lost: bool) -> tuple[list[float], int]:
    """Train with a checkpoint after every step; return the weights, and the steps taken here."""
    _checkpoints.SECONDS_BETWEEN = _checkpoints.TIMES_AS_LONG = 0.0
    task = Lost(folder / "lost") if is_lost else Line()
    train(task, SETTINGS, 0, "line", checkpoints=Checkpoints(folder / "checkpoints"))
    return weights(task), task._steps


def run(folder: Path, is_lost: bool) -> tuple[list[float], int]:
    return weights_of_line(folder, is_lost=is_lost)


def test_a_rank_that_is_lost_costs_the_steps_since_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, all_steps = launch(2, run, tmp_path / "one", False)
    (tmp_path / "two").mkdir()
    monkeypatch.delenv(RESTARTS_VARIABLE, raising=False)
    set_variables({"restarts": 1}, os.environ, [RESTARTS])
    found, steps = launch(2, run, tmp_path / "two", True)
    assert (tmp_path / "two" / "lost").exists()
    assert found == undisturbed
    assert 0 < steps <= all_steps - 4


def refuse(notes: Path) -> None:
    notes.with_name(f"{os.getpid()}").touch()
    raise BadInput("it is not to be had: choose another")


def test_what_a_rank_refuses_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="it is not to be had"):
        launch(2, refuse, tmp_path / "notes", restarts=3)
    assert len(list(tmp_path.iterdir())) <= 2
