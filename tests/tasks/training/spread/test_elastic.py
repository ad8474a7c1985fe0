"""A training that goes on, on more ranks than before, and on fewer: it says so, and learns on."""

from pathlib import Path

import pytest

from tasks.errors import BadInput, Preempted
from tasks.training.checkpoints import Checkpoints
from tasks.training.loop import train
from tasks.training.ranks import launch, rank
from tasks.training.settings import LongTrainingSettings
from tasks.training.spread.elastic import RANKS, RanksNoted, num_ranks_here
from tests.tasks.training.test_loop import Line, weights

SETTINGS = LongTrainingSettings(
    max_steps=12, batch_size=16, learning_rate=0.05, precision="fp32", devices=2, elastic=True
)


def trained(folder: Path, stop_at: int | None = None) -> Line:
    """Train a line until SIGTERM comes in one of this run's steps, or to the end."""
    task = Line(dropout=0.0, stop_at=stop_at if rank() == 0 else None)
    train(task, SETTINGS, 0, "line", checkpoints=Checkpoints(folder), watch=RanksNoted(None))
    return task


def on_two_ranks(folder: Path) -> None:
    trained(folder, stop_at=3)


def test_it_goes_on_on_more_ranks_and_on_fewer_and_says_from_which_step_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed = trained(tmp_path / "one")
    assert undisturbed.about == {"ranks": {"0": 1}}
    with pytest.raises(Preempted):
        trained(tmp_path / "changed", stop_at=4)
    with pytest.raises(Preempted):
        launch(2, on_two_ranks, tmp_path / "changed")
    found = trained(tmp_path / "changed")
    assert found.about == {"ranks": {"0": 1, "4": 2, "7": 1}}
    assert weights(found) == pytest.approx(weights(undisturbed), abs=1e-4)
    assert "line: goes on on 1 ranks, after 2 up to step 7" in capsys.readouterr().err


def test_there_are_as_many_ranks_as_the_machine_has_and_the_row_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert num_ranks_here(4) == 4
    monkeypatch.setenv(RANKS, "3")
    assert [num_ranks_here(4), num_ranks_here(2)] == [3, 2]
    monkeypatch.setenv(RANKS, "none")
    with pytest.raises(BadInput, match="DOWNSTREAM_RANKS is 'none'"):
        num_ranks_here(4)
