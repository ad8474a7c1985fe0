"""The training loop: it learns, repeats, and stops at a loss that is not finite."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.errors import Diverged
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=20, batch_size=16, learning_rate=0.05, precision="fp32")


class Line:
    """Fit y = 3 x - 1 on 64 points."""

    def __init__(self, spoil_at: int | None = None) -> None:
        make_deterministic(0)
        self.model: nn.Module = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.1), nn.Linear(8, 1))
        self.lengths = np.ones(64, dtype=int)
        self._x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
        self._spoil_at = spoil_at
        self._steps = 0

    def batch(self, indices: np.ndarray, generator: np.random.Generator) -> dict[str, Tensor]:
        """Return x and y; nothing about them is random."""
        del generator
        x = torch.from_numpy(self._x[indices])
        return {"x": x, "y": 3 * x - 1}

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the squared error, NaN at one step if asked for."""
        self._steps += 1
        loss = ((self.model(batch["x"]) - batch["y"]) ** 2).mean()
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


@pytest.mark.parametrize(("stop_at", "epochs"), [(3, 3), (99, 20)])
def test_after_epoch_can_end_it(stop_at: int, epochs: int) -> None:
    def stop(at: int) -> Callable[[int], bool]:
        return lambda epoch: epoch >= at

    assert len(train(Line(), SETTINGS, 0, "line", stop(stop_at))) == epochs
