"""``python -m tests.cluster.trained_on_nodes FOLDER [RANK]``: train a line on two nodes.

The rank, if one is given, is killed in the middle; all start again from the last checkpoint.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from torch import Tensor

from tasks.contracts import files
from tasks.errors import DownstreamError
from tasks.training import checkpoints as _checkpoints
from tasks.training.checkpoints import Checkpoints
from tasks.training.loop import train
from tasks.training.ranks import gathered, launch, rank
from tasks.training.settings import TrainingSettings
from tasks.training.task import Batch
from tests.tasks.training.test_loop import Line, weights

SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=0.05, precision="fp32")
LOST_AT = 5


class Lost(Line):
    """A line, one of whose ranks is killed once."""

    def __init__(self, folder: Path, lost: int | None) -> None:
        super().__init__()
        self._marker, self._lost = folder / "lost", lost

    def loss(self, batch: Batch) -> Tensor:
        """Return the squared error, and die at the sixth step."""
        if rank() == self._lost and self._steps == LOST_AT and not self._marker.exists():
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch)


def trained(folder: Path, lost: int | None) -> dict[str, Any]:
    """Train with a checkpoint after every step; return the weights, and who has taken part."""
    _checkpoints.SECONDS_BETWEEN = _checkpoints.TIMES_AS_LONG = 0.0
    task = Lost(folder, lost)
    train(task, SETTINGS, 0, "line", checkpoints=Checkpoints(folder / "checkpoints"))
    return {"weights": weights(task), "seen": gathered([rank(), own_address()])}


def own_address() -> str:
    """Return the address of this namespace's one cable, as the kernel writes it."""
    found = [each for each in psutil.net_if_addrs()["eth0"] if each.family.name == "AF_INET"]
    assert found[0].netmask == "255.255.255.0"
    return f"{found[0].address}/24"


def main() -> None:
    """Train, and write what has come of it."""
    into = Path(sys.argv[1])
    rank_to_lose = int(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        found = launch(1, trained, into, rank_to_lose, restarts=1, nodes=2)
    except DownstreamError as error:
        sys.exit(f"error: {error}")
    files.write_json(into / "trained.json", found)


if __name__ == "__main__":
    from tests.cluster import trained_on_nodes

    trained_on_nodes.main()  # as a module that the nodes can import by its name
