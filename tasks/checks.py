"""What a training asks before its first step and at each checkpoint: is all as it was at its start?

A stage process gives the checks; a training knows only that there may be some. They raise.
"""

from collections.abc import Callable

_checks: list[Callable[[], None]] = []


def add_check(check: Callable[[], None]) -> None:
    """Let a training of this process call something, which is cheap, before it goes on."""
    _checks.append(check)


def run_checks() -> None:
    """Call all checks; the first that finds something ends the training by its exception."""
    for check in _checks:
        check()
