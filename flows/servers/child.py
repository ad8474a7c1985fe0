"""Programs that end when their starter does: ``python -m flows.servers.child PROGRAM ARGUMENTS``.

The request to the kernel outlives ``exec``, so it holds for programs that know nothing of it, as
the servers of ``downstream up``.
"""

import os
import sys

from tasks.parent import die_with_parent


def main(command: list[str]) -> None:
    """Become the program, after asking for SIGTERM at the starter's end.

    Args:
        command: the program and its arguments.
    """
    die_with_parent()
    os.execvp(command[0], command)  # noqa: S606 - the starter's own program, without a shell


if __name__ == "__main__":
    main(sys.argv[1:])
