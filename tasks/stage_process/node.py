"""``python -m tasks.stage_process.node``: the ranks of another node (``tasks.training.spread``).

The first node starts this, says by standard input what to run, and reads from standard output how
that has ended. Where the input ends, the first node is gone, and so are the ranks here.
"""

import os
import sys
import threading
from contextlib import ExitStack
from multiprocessing.connection import Connection

from tasks.errors import DownstreamError
from tasks.stage_process.devices import NO_GPU, device_lease, usable_devices


def main() -> None:
    """Take the devices, meet the other nodes, run the ranks."""
    orders = Connection(os.dup(0), writable=False)
    answers = Connection(os.dup(1), readable=False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what is printed is for people
    work = orders.recv()
    os.environ.update(work.environment)
    with ExitStack() as held:
        try:
            if usable_devices() != NO_GPU:  # else the first node holds the workspace's one slot
                held.enter_context(device_lease("training.nodes", work.num_ranks))
            from tasks.training.launcher import run_on_node
            from tasks.training.spread.nodes import READY
        except DownstreamError as error:
            sys.exit(f"error: {error}")
        answers.send(READY)
        place = orders.recv()
        threading.Thread(target=_end_with, args=(orders,), daemon=True).start()
        answers.send(run_on_node(place, work))


def _end_with(orders: Connection) -> None:
    """End at once when the first node is gone; the kernel ends the ranks."""
    try:
        orders.recv()
    except (EOFError, OSError):
        os._exit(1)


if __name__ == "__main__":
    main()
