"""How much memory a data stage may take: one setting of the workspace, which changes no byte.

``memory`` in ``params.yaml``, in MiB. What is read, sorted or compared at a time is a share of it.
"""

import os

MEMORY_VARIABLE = "DOWNSTREAM_MEMORY"
"""Tells a process that computes for a stage what ``memory`` is."""
LEAST_MIB = 512
"""What the libraries of a stage take, and a group of records as it is read."""
DEFAULT_MIB = 1536
"""What the constants of the data stages are made for."""
MIB_OF_A_PROCESS = 192
"""What one takes that cleans shards, beside the first one."""
_MIB_OF_THE_FIRST = 384


def share(at_default: int) -> int:
    """Return as much of the memory as a number of bytes or items is of the default.

    Args:
        at_default: what there is at a time where ``memory`` is not set.
    """
    return max(1, at_default * int(os.environ.get(MEMORY_VARIABLE, DEFAULT_MIB)) // DEFAULT_MIB)


def num_processes_at_most(wanted: int) -> int:
    """Return how many processes there is memory for, of as many as there are cores.

    Args:
        wanted: how many there are where ``memory`` is not set.
    """
    mib = os.environ.get(MEMORY_VARIABLE)
    if mib is None:
        return wanted
    return max(1, min(wanted, (int(mib) - _MIB_OF_THE_FIRST) // MIB_OF_A_PROCESS))
