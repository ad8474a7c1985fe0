"""What can go wrong through no fault of the code: one exception a kind of mistake.

A message says what is wrong, where (file, row, key) and what to do, in one or two lines. The
command line prints it without a traceback and exits with 1. Nothing here, and no text in a
``raise`` statement anywhere, is part of a code fingerprint: a better message reruns nothing.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class DownstreamError(Exception):
    """A mistake that its reader can mend; the base of all others."""


class BadSettings(DownstreamError):
    """``params.yaml`` is not what the schema allows."""


class BadInput(DownstreamError):
    """A source, a record or a file is not what the settings say it is."""


class MissingPin(DownstreamError):
    """A remote source has no ``pin.json`` that fixes its revision and sha256."""


class Unreachable(DownstreamError):
    """A registry, hub or server did not answer; the same call may succeed later."""


class ChangedWhileRunning(DownstreamError):
    """Settings, inputs or code were edited between a stage's start and its end."""


class ValidationFailed(DownstreamError):
    """The splits of a corpus do not meet the expectations set for them."""


class Diverged(DownstreamError):
    """A loss became NaN or infinite."""


class Preempted(DownstreamError):
    """SIGTERM ended a training, which has kept a checkpoint; running again goes on from it."""


class StageFailed(DownstreamError):
    """A stage of the pipeline ended with an error of its own."""


def one_of(value: str, choices: Iterable[str]) -> str:
    """Say which values are allowed, with a "did you mean" where one is close."""
    known = sorted(choices)
    close = get_close_matches(value, known, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"allowed: {', '.join(known)}{hint}"
