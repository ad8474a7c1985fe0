"""The training loop: it learns, repeats, and stops at a loss that is not finite."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.checks import add_check
from tasks.errors import BadInput, BadSettings, Diverged, Preempted
from tasks.training import checkpoints
from tasks.training.checkpoints import Checkpoints
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.optimizers import learning_rate_share
from tasks.training.settings import TrainingSettings
from tasks.training.task import Batch, ExampleRandom, Task

SETTINGS = TrainingSettings(epochs=20, batch_size=16, learning_rate=0.05, precision="fp32")


class Line(Task):
    """Fit y = 3 x - 1 on 64 points."""

    def __init__(
        self, spoil_at: int | None = None, stop_at: int | None = None, dropout: float = 0.1
    ) -> None:
        make_deterministic(0)
        self.model = nn.Sequential(nn.Linear(1, 8), nn.Dropout(dropout), nn.Linear(8, 1))
        self.lengths = np.ones(64, dtype=int)
        self._x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        self._spoil_at = spoil_at
        self._stop_at = stop_at
        self._steps = 0

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return x and y; nothing about them is random."""
        x = torch.from_numpy(self._x[indices])
        return {"x": x, "y": 3 * x - 1, "counts": torch.tensor([float(len(x))])}

    def loss(self, batch: Batch) -> Tensor:
        """Return the squared error, NaN at one step if asked for."""
        self._steps += 1
        if self._steps == self._stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        loss = ((self.model(batch["x"]) - batch["y"]) ** 2).sum() / batch["counts"][0]
        return loss * float("nan") if self._steps - 1 == self._spoil_at else loss


def weights(task: Line) -> list[float]:
    return torch.cat([value.detach().flatten() for value in task.model.parameters()]).tolist()


def test_the_loss_falls() -> None:
    losses = train(Line(), SETTINGS, 0, "line")
    assert len(losses) == 20
    assert losses[-1] < losses[0] / 5


def test_the_same_seed_gives_the_same_weights_and_another_gives_others() -> None:
    tasks = [Line(), Line(), Line()]
    for task, seed in zip(tasks, (7, 7, 8), strict=True):
        train(task, SETTINGS, seed, "line")
    assert weights(tasks[0]) == weights(tasks[1])
    assert weights(tasks[0]) != weights(tasks[2])


def test_a_nan_stops_the_training_and_names_its_step() -> None:
    with pytest.raises(Diverged, match="line: the loss is NaN or infinite at step 5: lower"):
        train(Line(spoil_at=5), SETTINGS, 0, "line")


class StopAt:
    """Ends a training after so many epochs."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.seen: list[int] = []
        self.metrics: dict[str, float] = {}

    def after_epoch(self, epoch: int) -> bool:
        self.seen.append(epoch)
        return epoch >= self.epoch

    def state_dict(self) -> dict[str, Any]:
        return {"seen": list(self.seen)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


@pytest.mark.parametrize(("stop_at", "epochs"), [(3, 3), (99, 20)])
def test_a_callback_can_end_it(stop_at: int, epochs: int) -> None:
    callback = StopAt(stop_at)
    assert len(train(Line(), SETTINGS, 0, "line", callback)) == epochs
    assert callback.seen == list(range(1, epochs + 1))


def test_parts_give_what_the_whole_batch_gives() -> None:
    whole, parts = Line(dropout=0.0), Line(dropout=0.0)
    train(whole, SETTINGS, 0, "line")
    train(parts, SETTINGS.model_copy(update={"accumulation": 3}), 0, "line")
    assert weights(parts) == pytest.approx(weights(whole), abs=1e-4)


@pytest.mark.parametrize(("schedule", "middle"), [("cosine", 0.5), ("linear", 0.5)])
def test_the_rate_rises_to_its_highest_and_falls_to_zero(schedule: str, middle: float) -> None:
    settings = TrainingSettings(warmup=0.1, schedule=schedule)
    shares = [learning_rate_share(settings, step, 110) for step in range(110)]
    assert shares[:11] == pytest.approx([(step + 1) / 11 for step in range(11)])
    assert max(shares) == 1
    assert shares[11 + 99 // 2] == pytest.approx(middle, abs=0.02)
    assert shares[-1] < 0.02


def finished_and_resumed(folder: Path, stop_at: int) -> tuple[list[float], list[float]]:
    """Train in one go, and stopped by SIGTERM at a step and resumed; return both weights."""
    undisturbed = Line()
    train(undisturbed, SETTINGS, 0, "line", StopAt(15))
    with pytest.raises(Preempted, match=f"line: stopped by SIGTERM at step {stop_at}: run again"):
        train(Line(stop_at=stop_at), SETTINGS, 0, "line", StopAt(15), Checkpoints(folder))
    resumed, callback = Line(), StopAt(15)
    losses = train(resumed, SETTINGS, 0, "line", callback, Checkpoints(folder))
    assert len(losses) == 15
    assert callback.seen == list(range(1, 16))
    return weights(undisturbed), weights(resumed)


@pytest.mark.parametrize("stop_at", [1, 4, 7, 33, 60])
def test_sigterm_writes_a_checkpoint_from_which_it_goes_on_exactly(
    tmp_path: Path, stop_at: int
) -> None:
    undisturbed, resumed = finished_and_resumed(tmp_path, stop_at)
    assert resumed == undisturbed


@pytest.mark.parametrize("ends_at", [1, 3])
def test_a_check_ends_a_training_before_its_first_step_and_at_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends_at: int
) -> None:
    def check() -> None:
        steps.append(task._steps)
        if len(steps) == ends_at:
            raise BadInput("it was edited")

    steps: list[int] = []
    monkeypatch.setattr("tasks.checks._checks", [])
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoints, "TIMES_AS_LONG", 0.0)
    add_check(check)
    task = Line()
    with pytest.raises(BadInput, match="it was edited"):
        train(task, SETTINGS, 0, "line", checkpoints=Checkpoints(tmp_path))
    assert steps == [0, 1, 2][:ends_at]


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    first, second = Line(), Line(spoil_at=0)
    losses = train(first, SETTINGS, 0, "line", checkpoints=Checkpoints(tmp_path))
    assert train(second, SETTINGS, 0, "line", checkpoints=Checkpoints(tmp_path)) == losses
    assert weights(second) == weights(first)


def test_sigterm_during_a_callback_is_heard_at_once(tmp_path: Path) -> None:
    class Slow(StopAt):
        def after_epoch(self, epoch: int) -> bool:
            if epoch == 2 and not self.seen[1:]:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(30)
                slept.append(epoch)
            return super().after_epoch(epoch)

    slept: list[int] = []
    undisturbed, resumed = Line(), Line()
    train(undisturbed, SETTINGS, 0, "line", StopAt(4))
    with pytest.raises(Preempted):
        train(Line(), SETTINGS, 0, "line", Slow(4), Checkpoints(tmp_path))
    assert not slept
    train(resumed, SETTINGS, 0, "line", StopAt(4), Checkpoints(tmp_path))
    assert weights(resumed) == weights(undisturbed)


def test_sigterm_just_after_a_callback_costs_no_call(tmp_path: Path) -> None:
    class Late(StopAt):
        def after_epoch(self, epoch: int) -> bool:
            is_over = super().after_epoch(epoch)
            if epoch == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return is_over

    with pytest.raises(Preempted):
        train(Line(), SETTINGS, 0, "line", Late(4), Checkpoints(tmp_path))
    callback = StopAt(4)
    train(Line(), SETTINGS, 0, "line", callback, Checkpoints(tmp_path))
    assert callback.seen == [1, 2, 3, 4]


def test_a_batch_larger_than_the_corpus_is_refused() -> None:
    settings = SETTINGS.model_copy(update={"batch_size": 65})
    with pytest.raises(BadInput, match="line: batch_size is 65, but there are 64 examples"):
        train(Line(), settings, 0, "line")


def test_memory_that_is_too_small_names_what_to_lower() -> None:
    class Huge(Line):
        def loss(self, batch: Batch) -> Tensor:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    with pytest.raises(BadInput, match=r"line: .*CUDA out of memory.*lower batch_size"):
        train(Huge(), SETTINGS, 0, "line")


class Scattered(Line):
    """A line with an operator that does not say which of two values it writes."""

    def loss(self, batch: Batch) -> Tensor:
        """Return the squared error, and nothing beside it."""
        torch.zeros(3).put_(torch.tensor([1, 1]), torch.tensor([2.0, 3.0]))
        return super().loss(batch)


def test_an_operator_that_does_not_repeat_its_bytes_is_named_and_can_be_allowed() -> None:
    settings = SETTINGS.model_copy(update={"epochs": 1})
    with pytest.raises(BadSettings, match=r"line: put_ does not have .*set nondeterministic: true"):
        train(Scattered(), settings, 0, "line")
    allowed = settings.model_copy(update={"nondeterministic": True})
    losses = train(Scattered(), allowed, 0, "line")
    make_deterministic(0)
    assert len(losses) == 1
