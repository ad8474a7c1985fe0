"""One case: written, then tried in a process of its own, and what must hold of it.

A case is a pure function of seed, kind and number. It ends with success or with a refusal whose
text is one or two lines and short; without a traceback, in time, and with little memory.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from tasks.errors import DownstreamError

LONGEST_SECONDS = 20.0
LONGEST_TEXT = 700
MOST_LINES = 2
MOST_MEMORY_MB = 1536.0
HARD_LIMIT_BYTES = 4 * 2**30
"""What a process may allocate beyond what it begins with: the machine has others."""
MOST_FILE_BYTES = 2 * 2**30
MOST_TOLD = 1 << 15
SAID = "output.txt"
"""Beside the input: what was printed."""


class Wrong(Exception):
    """What must not happen, found by a kind itself.

    Args:
        text: what it is.
        place: what equal faults are told by; by default the text's beginning.
    """

    def __init__(self, text: str, place: str = "") -> None:
        super().__init__(text)
        self.place = place or text[:80]


class Refused(Exception):
    """A documented refusal that is no ``DownstreamError``."""


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        name: what the command line calls it.
        share: how many of its cases are tried in each round.
        plant: makes the valid files in an empty folder, in a process of its own.
        prepare: imports and loads, once, what every case uses; given the folder of valid files.
        write: writes a case into its folder, from the valid files.
        attempt: gives it, the current folder being the case's, to the code that it attacks.
        num_programs: how many programs that does, one after the other; each has its time.
    """

    name: str
    share: int
    plant: Callable[[Path], None]
    prepare: Callable[[Path], None]
    write: Callable[[Random, Path, Path], None]
    attempt: Callable[[], None]
    num_programs: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        end: ``taken``, ``refused`` or ``wrong``.
        text: the refusal, or what was wrong.
        place: tells equal faults by.
        seconds: how long it took.
        memory_mb: how much more memory it had than its process began with, at most.
    """

    end: str
    text: str
    place: str
    seconds: float
    memory_mb: float


def generator(seed: int, kind: str, number: int) -> Random:
    """Return where all chance of a case comes from."""
    return Random(f"{seed} {kind} {number}")  # noqa: S311 - no secret


def run_case(kind: Kind, planted: Path, folder: Path, random: Random) -> Outcome:
    """Try a case in a child of this process; its folder stays if anything was wrong.

    Args:
        kind: of the case.
        planted: the kind's valid files.
        folder: where the case is written; it is made.
        random: the case's own generator.
    """
    folder.mkdir(parents=True)
    reading, writing = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        os.close(reading)
        _in_child(kind, planted, folder, random, writing)
    os.close(writing)
    told = _read(reading, started + kind.num_programs * LONGEST_SECONDS)
    seconds = time.monotonic() - started
    # Its children too, if it has left any.
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    outcome = _judged(told, status, seconds, folder)
    if outcome.end != "wrong":
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _read(pipe: int, deadline: float) -> bytes | None:
    """Return what the child tells before it ends; None if it takes too long."""
    told = b""
    with os.fdopen(pipe, "rb", buffering=0) as file:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([file], [], [], left)[0]:
                return None
            part = file.read(MOST_TOLD)
            if not part:
                return told
            told += part


def _judged(told: bytes | None, status: int, seconds: float, folder: Path) -> Outcome:
    if told is None:
        where = _last_place(folder)
        text = f"still ran after {seconds:.0f} s{where}"
        return Outcome("wrong", text, f"hang{where}", seconds, 0.0)
    if not told:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        name = signal.Signals(number).name if number else f"exit code {os.WEXITSTATUS(status)}"
        where = _last_place(folder)
        return Outcome("wrong", f"its process died: {name}{where}", f"{name}{where}", seconds, 0.0)
    outcome = Outcome(**{**json.loads(told), "seconds": seconds})
    if outcome.end != "wrong" and outcome.memory_mb > MOST_MEMORY_MB:
        text = f"took {outcome.memory_mb:,.0f} MB; {outcome.text}"
        return Outcome("wrong", text, f"memory, {outcome.place}", seconds, outcome.memory_mb)
    return outcome


def _last_place(folder: Path) -> str:
    """Return the innermost frame that Python's fault handler has written, if it has."""
    try:
        lines = (folder / SAID).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    frames = [line.strip() for line in lines if line.lstrip().startswith("File ")]
    return f": {frames[0]}" if frames else ""


def _in_child(kind: Kind, planted: Path, folder: Path, random: Random, pipe: int) -> None:
    """Try the case, tell what came of it, and end the process."""
    try:
        os.setsid()
        os.chdir(folder)
        kind.write(random, planted, folder)
        said = os.open(folder / SAID, os.O_CREAT | os.O_WRONLY, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, said), (2, said)):
            os.dup2(source, target)
        faulthandler.enable(all_threads=False)
        faulthandler.dump_traceback_later(kind.num_programs * LONGEST_SECONDS - 1)
        before = _peak_mb()
        limit = _data_bytes() + HARD_LIMIT_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE_BYTES, MOST_FILE_BYTES))
        end, text, place = _tried(kind)
        grown = max(0.0, _peak_mb() - before, _children_mb())
        outcome = Outcome(end, text[: MOST_TOLD // 8], place[:500], 0.0, round(grown, 1))
        os.write(pipe, json.dumps(asdict(outcome)).encode())
    except BaseException:  # noqa: BLE001 - a fault of the fuzzer itself
        text = f"the fuzzer itself failed:\n{traceback.format_exc()[-3000:]}"
        os.write(pipe, json.dumps(asdict(Outcome("wrong", text, text, 0.0, 0.0))).encode())
    finally:
        os._exit(0)


def _tried(kind: Kind) -> tuple[str, str, str]:
    """Return how a case ended, with what text, and what equal faults are told by."""
    try:
        kind.attempt()
    except (DownstreamError, Refused) as refusal:
        text = str(refusal)
        lines = len(text.splitlines())
        if lines > MOST_LINES or len(text) >= LONGEST_TEXT or not text.strip():
            place = f"text of {type(refusal).__name__} {_raised_at(refusal)}"
            return "wrong", f"a refusal of {lines} lines, {len(text)} characters: {text}", place
        return "refused", text, type(refusal).__name__
    except Wrong as wrong:
        return "wrong", str(wrong), wrong.place
    except BaseException as error:  # noqa: BLE001 - whatever comes is what is looked for
        told = "".join(traceback.format_exception(error, limit=-12))[-3500:]
        return "wrong", told, f"{type(error).__name__} {_raised_at(error)}"
    if "Traceback (most recent call last)" in Path(SAID).read_text(errors="replace"):
        return "wrong", Path(SAID).read_text(errors="replace")[-3000:], "a traceback was printed"
    return "taken", "", ""


def _raised_at(error: BaseException) -> str:
    """Return the innermost frames of an error, which tell equal faults from others."""
    frames = traceback.extract_tb(error.__traceback__)[-2:]
    return ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _children_mb() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _data_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmData")) * 1024
