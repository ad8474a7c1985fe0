"""Programs that end when their starter does: ``python -m flows.servers.child PROGRAM ARGUMENTS``.

The request to the kernel outlives ``exec``, so it holds for programs that know nothing of it, as
the servers of ``downstream up``.
"""

import os
import sys

from tasks.parent import die_with_parent

# Set by Prefect in the process that a worker, or the process that serves, starts for a flow run.
STARTED_FOR = "PREFECT__FLOW_RUN_ID"


def end_with_runner() -> None:
    """Let a flow run's process end with the worker that has started it, kill -9 included."""
    if STARTED_FOR in os.environ:
        die_with_parent()


def main(command: list[str]) -> None:
    """Become the program, after asking for SIGTERM at the starter's end.

    Args:
        command: the program and its arguments.
    """
    die_with_parent()
    os.execvp(command[0], command)  # noqa: S606 - the starter's own program, without a shell


if __name__ == "__main__":
    main(sys.argv[1:])
