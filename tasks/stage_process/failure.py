"""Why a stage process failed, for the flow: only what may go away by itself is worth a retry.

Exit codes are part of the command line's contract (1 is any mistake), so the kind of error stands
in a file beside: ``.downstream/failures/<stage>@<row>.json``.
"""

from tasks.contracts import files, paths
from tasks.errors import Preempted, Unreachable

FAILURES = paths.STATE / "failures"
TRANSIENT = {Unreachable.__name__, Preempted.__name__}
"""Errors after which the same call may succeed: a network that is away, a machine taken back."""


def tell_failure(name: str, error: Exception) -> None:
    """Write down what ended ``<stage>@<row>``."""
    try:
        record = {"kind": type(error).__name__, "message": str(error)}
        files.write_json(FAILURES / f"{name}.json", record)
    except OSError:
        return  # a full disk: the message on stderr has to do


def forget_failure(name: str) -> None:
    """Remove the note of an earlier failure."""
    (FAILURES / f"{name}.json").unlink(missing_ok=True)


def was_transient(name: str) -> bool:
    """Tell whether the last failure of a stage may go away by itself."""
    try:
        return files.read_json(FAILURES / f"{name}.json")["kind"] in TRANSIENT
    except (OSError, ValueError, KeyError, TypeError):
        return False
