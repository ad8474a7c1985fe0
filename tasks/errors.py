"""What can go wrong through no fault of the code: one exception a kind of mistake.

A message says what is wrong, where (file, row, key) and what to do, in one or two lines. The
command line prints it without a traceback and exits with 1. Nothing here, and no text in a
``raise`` statement anywhere, is part of a code fingerprint: a better message reruns nothing.
"""

from __future__ import annotations

import errno
import pathlib
import shutil
import tempfile
from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tasks.plain_text import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails


# What an error lists of what is allowed.
_LISTED, _LONGEST_NAME, _COMPARED = 50, 60, 1_000


class DownstreamError(Exception):
    """A mistake that its reader can mend; the base of all others."""

    def __str__(self) -> str:
        """Return the message, whatever the names of files and the texts of others in it hold."""
        return plain(super().__str__())


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


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What ``flock`` answers where a file system has none."""
FULL_TEXTS = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "database or disk is full",
    "disk I/O error",  # SQLite's, for a file that may not grow as well
)
"""What libraries that write files in other languages say of it."""
LEAST_FREE_BYTES = 2**22


def is_full(error: BaseException) -> bool:
    """Tell whether a disk that is full, or a file that may not grow, is behind an error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in FULL:
            return True
        if any(text in str(cause) for text in FULL_TEXTS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def is_of_system(error: BaseException) -> bool:
    """Tell whether the operating system has refused something, so that ``in_words`` says what."""
    return isinstance(error, OSError) or is_full(error)


def in_words(error: BaseException) -> str:
    """Say what the operating system has refused, and what to do where that is known."""
    if is_full(error):
        return (
            f"no space is left on the disk{_of_full_disk(error)}: free some, or let files be "
            "larger (ulimit -f), and run it again; what was recorded is kept"
        )
    if isinstance(error, OSError) and error.errno in NO_LOCKS and error.filename is None:
        return (
            f"the file system of {pathlib.Path.cwd()}, or of the devices' locks, has none (flock: "
            f"{error.strerror}): without them two processes would write one result. Put the "
            "workspace on a local disk, or mount it with locks"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _of_full_disk(error: BaseException) -> str:
    """Name the file that did not fit, or else the folders whose disk has no space."""
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    if name is not None:
        return f" of {name}"
    folders = [pathlib.Path.cwd()]
    with suppress(FileNotFoundError):  # nothing can be written at all
        folders.append(pathlib.Path(tempfile.gettempdir()))
    full = [
        folder
        for folder in dict.fromkeys(folders)
        if shutil.disk_usage(folder).free < LEAST_FREE_BYTES
    ]
    return f" of {', '.join(map(str, full))}" if full else ""


def one_of(value: str, choices: Iterable[str]) -> str:
    """Say which values are allowed, with a "did you mean" where one is close."""
    known = sorted(choices)
    # To compare takes time for each, and a foreign table may have a million columns.
    short = [name for name in known[:_COMPARED] if len(name) <= _LONGEST_NAME]
    close = get_close_matches(value[:_LONGEST_NAME], short, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    listed = [f"{name:.{_LONGEST_NAME}}" for name in known[:_LISTED]]
    more = f" and {len(known) - _LISTED:,} more" if len(known) > _LISTED else ""
    return f"allowed: {', '.join(listed)}{more}{hint}"


def told(error: ValidationError, where: str, model: type[BaseModel]) -> str:
    """Put the first fault of a pydantic error into one line, and count the others.

    Args:
        error: what pydantic raised.
        where: the key path in ``params.yaml`` of what was checked.
        model: the class that it was checked by.
    """
    details = error.errors(include_url=False)
    path = ".".join([where, *(str(part) for part in details[0]["loc"])])
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"params.yaml: {path}: {_fault(details[0], model)}{more}"


def _fault(fault: ErrorDetails, model: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key; {one_of(str(fault['loc'][-1]), _keys_at(fault['loc'], model))}"
    if fault["type"] == "missing":
        return "is missing; add it"
    expected = fault["msg"].removeprefix("Value error, ")
    return f"{expected[0].lower()}{expected[1:]}, found {fault['input']!r}"


def _keys_at(loc: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    for part in loc[:-1]:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        inner = field.annotation
        if isinstance(inner, type) and hasattr(inner, "model_fields"):
            model = inner
    return list(model.model_fields)
