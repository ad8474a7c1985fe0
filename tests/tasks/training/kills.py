"""Kills a training at random moments, and tells whether it ends as if nothing had happened.

The moments are drawn over all of its time, from its first checkpoint to its end, validations, the
twin and the writing of the results included. What is drawn is a checkpoint of the undisturbed
training, and a time after it, so that it means the same on a machine that is slower just then.

A fault names the seed that the moments were drawn from: ``KILL_SEED=<seed> pytest …`` draws them
again, whatever other tests run beside.
"""

import os
import random
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from tasks.contracts import files
from tests.tasks.training.jobs import END, Checkpoint, Job, RunFailed

SECONDS_TO_PREEMPT = 10.0
LONGEST_SECONDS = 300
TRIES = 10
SEED = int(os.environ.get("KILL_SEED") or secrets.randbelow(2**32))
RANDOM = random.Random(SEED)  # noqa: S311 - no secret


class TooLate(Exception):
    """The training had ended before it was killed."""


class Moment(NamedTuple):
    """So many seconds after a checkpoint, or after the first that a later run writes."""

    checkpoint: Checkpoint
    seconds: float


Kill = Callable[[psutil.Process], None]


def everything(launcher: psutil.Process) -> None:
    """Kill the process and all that it has started at once, as a machine that loses its power."""
    for process in [*launcher.children(recursive=True), launcher]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def launcher_alone(launcher: psutil.Process) -> None:
    """Kill the process that has started the ranks."""
    launcher.kill()


def one_rank(launcher: psutil.Process) -> None:
    """Kill any one rank, as a kernel that is out of memory does."""
    with suppress(psutil.NoSuchProcess):
        started = launcher.children()
        ranks = [each for each in started if "spawn_main" in " ".join(each.cmdline())]
        RANDOM.choice(ranks or [launcher]).kill()


def preempt(launcher: psutil.Process) -> None:
    """Send SIGTERM, as a cluster does before it takes the machine back."""
    launcher.terminate()


def kill_at(job: Job, undisturbed: Job, moment: Moment, kill: Kill) -> str:
    """Start, and kill at the moment, but not before the training is further than it was.

    Returns:
        What it printed.

    Raises:
        RunFailed: it ended by itself, with an error, or not as it has to after SIGTERM.
        TooLate: it had ended, or had nothing left to train.
    """
    order = [checkpoint for checkpoint, _ in undisturbed.checkpoints()]
    wanted = max(order.index(moment.checkpoint), _reached(job, order) + 1)
    if order[wanted].training == END:
        raise TooLate
    deadline = time.monotonic() + LONGEST_SECONDS
    with job._start() as process:
        while _reached(job, order) < wanted and process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.005)
        time.sleep(moment.seconds)
        was_alive, killed_at = process.poll() is None, time.monotonic()
        if was_alive:
            kill(psutil.Process(process.pid))
        printed, _ = process.communicate(timeout=LONGEST_SECONDS)
    if process.returncode == 0 or _reached(job, order) == len(order) - 1:
        raise TooLate
    if not was_alive:
        raise RunFailed(printed)
    if kill is preempt:
        _require_end(printed, time.monotonic() - killed_at)
    return printed


def _require_end(printed: str, seconds: float) -> None:
    if "stopped by SIGTERM" not in printed or seconds > SECONDS_TO_PREEMPT:
        raise RunFailed(f"not stopped by SIGTERM, or only after {seconds:.1f} s: {printed}")


def _reached(job: Job, order: list[Checkpoint]) -> int:
    reached = job.checkpoints()
    return order.index(reached[-1][0]) if reached else -1


def moments_of(undisturbed: Job, num_kills: int) -> list[Moment]:
    """Draw one from each of so many equal parts of a training's time."""
    reached = undisturbed.checkpoints()
    (_, first), *_, (end, last) = reached
    assert end.training == END
    length = (last - first) / num_kills
    found = []
    for number in range(num_kills):
        drawn = first + (number + RANDOM.random()) * length
        checkpoint, at = [each for each in reached if each[1] <= drawn][-1]
        found.append(Moment(checkpoint, drawn - at))
    return found


def fault_when_killed(undisturbed: Job, folder: Path, kills: Sequence[Kill]) -> str | None:
    """Train again, killed at random moments; return what is wrong in the end, if anything.

    A training that had ended before it was killed does not count: the moments are drawn again.
    """
    names = [kill.__name__ for kill in kills]
    RANDOM.seed(f"{SEED} {undisturbed._name} {names}")
    for number in range(TRIES):
        moments = moments_of(undisturbed, len(kills))
        try:
            fault = _fault(undisturbed, undisturbed.again(folder / str(number)), kills, moments)
        except TooLate:
            continue
        except RunFailed as error:
            fault = f"a run failed: {error}"
        done = "; ".join(
            f"{kill.__name__} {seconds:.3f} s after step {step} of {training}"
            for kill, ((training, step), seconds) in zip(kills, moments, strict=True)
        )
        return f"{fault} (killed: {done}; KILL_SEED={SEED} draws this again)" if fault else None
    return f"{TRIES} times the training had ended before it was killed (KILL_SEED={SEED})"


def _fault(undisturbed: Job, job: Job, kills: Sequence[Kill], moments: list[Moment]) -> str | None:
    runs: list[Callable[[], str]] = [
        partial(kill_at, job, undisturbed, moment, kill)
        for kill, moment in zip(kills, moments, strict=True)
    ]
    for run in [*runs, job.run]:
        before = [checkpoint for checkpoint, _ in job.checkpoints()]
        printed = run()
        if before and not job.goes_on(printed, before[-1]):
            return f"a run does not say that it goes on from {before[-1]}: {printed}"
    if files.sha256_of_folder(job.output) != files.sha256_of_folder(undisturbed.output):
        return "the files differ from an undisturbed run's"
    if differing := set(job.curve()) ^ set(undisturbed.curve()):
        return f"the curves differ from an undisturbed run's in {sorted(differing)[:4]}"
    if job.curve() != undisturbed.curve():
        return "the curves have points twice, or in another order"
    return None
