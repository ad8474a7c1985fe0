"""Stages as jobs of SLURM, by its own commands: ``sbatch``, ``squeue``, ``scancel``.

The workspace lies on a file system that the nodes share. Stages that may start at the same time are
one job array. What belongs to a job lies in ``.downstream/slurm/<array>/``: ``<index>.sh``, the
batch script; ``.log``, what the stage prints; ``.exit``, the script's last act, the stage's exit
code. A job without one was killed. No accounting database is asked: many clusters, and Debian's
package as it is installed, have none.

A job goes on when the process that submitted it is killed; the next run finds it by
``.downstream/slurm/jobs/<stage>@<row>.json`` and waits for it instead of starting another.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flows.run.stage_command import (
    LAST_LINES_KEPT,
    RunStoppedError,
    TransientError,
    failure_of,
    path_of_stages,
)
from tasks.contracts import files, paths
from tasks.contracts.yaml12 import parse_yaml
from tasks.errors import BadSettings, StageFailed
from tasks.progress import say
from tasks.stage_process.failure import FAILURES, forget_failure

SLURM_YAML = Path("slurm.yaml")
"""What stages ask SLURM for; no stage depends on it."""
ROOM = paths.STATE / "slurm"
JOBS_AT_ONCE = 1000
"""Of either kind: which of them run, SLURM decides."""
GATHER_SECONDS = 0.5
POLL_SECONDS = float(os.environ.get("DOWNSTREAM_SLURM_POLL_SECONDS", "5"))
SECONDS_BEFORE_LIMIT = 120
"""When a job hears of its time limit, so that a training can keep a checkpoint."""
MOST_REQUEUES = 100
ARRAYS_KEPT = 50
"""Of earlier runs, whose scripts and lines can be read."""
FILES_SECONDS = 15.0
"""How long a file that another node has written may take to be seen here."""
OURS = ("array", "chdir", "error", "export", "job-name", "open-mode", "output", "parsable", "wrap")
ENDED = {
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE",
    "OUT_OF_MEMORY",
}  # fmt: skip
AWAY = ("Unable to contact", "Socket timed out", "Connection refused", "temporarily unable")
"""What SLURM's commands say of a controller that does not answer."""

SCRIPT = """\
#!/bin/bash
# {name}, a job of `downstream run --engine slurm`
cd -- {root} || exit 1
export {environment}
asked=
child=
end_stage() {{ asked=$1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null; }}
trap 'end_stage limit' USR1
trap 'end_stage end' TERM
rm -f {exit}
/bin/sh -c {command} &
child=$!
while :; do
    wait "$child"
    code=$?
    # A signal ends the wait, not the stage.
    [ "$code" -gt 128 ] && kill -0 "$child" 2>/dev/null || break
done
if [ "$asked" = limit ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ] &&
        grep -q '"Preempted"' {failure} 2>/dev/null; then
    echo "{name}: near its time limit; its checkpoint is kept, and the job queued again"
    scontrol requeue "$SLURM_JOB_ID" && sleep 3600
fi
echo "$code" $asked >{exit}.new && mv {exit}.new {exit}
exit "$code"
"""


@dataclass(frozen=True)
class Requests:
    """What ``slurm.yaml`` says: options of ``sbatch`` by their long names."""

    cpu: dict[str, str] = field(default_factory=dict)
    gpu: dict[str, str] = field(default_factory=dict)
    stages: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of single stages (``pretrain@big``) or all rows of one (``pretrain``), beside those above."""
    seconds_before_limit: int = SECONDS_BEFORE_LIMIT

    def of(self, name: str, devices: int) -> tuple[str, ...]:
        """Return the options of a stage.

        Args:
            name: ``<stage>@<row>``.
            devices: on how many it trains; 0 for a stage that needs none.
        """
        options = dict(self.gpu if devices else self.cpu)
        options |= self.stages.get(name.partition("@")[0], {})
        options |= self.stages.get(name, {})
        return tuple(
            f"--{key}={value.replace('{devices}', str(devices))}" for key, value in options.items()
        )


def read_requests(path: Path = SLURM_YAML) -> Requests:
    """Read ``slurm.yaml``; without one, SLURM's own defaults are asked for.

    Raises:
        BadSettings: it is not what it may be.
    """
    try:
        content = parse_yaml(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return Requests()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    known = {"cpu", "gpu", "stages", "seconds_before_limit"}
    if not isinstance(content, dict) or not content.keys() <= known:
        raise BadSettings(f"{path}: expected {', '.join(sorted(known))}, found {content!r}")
    seconds = content.get("seconds_before_limit", SECONDS_BEFORE_LIMIT)
    if not isinstance(seconds, int) or not 0 < seconds <= 65535:
        raise BadSettings(f"{path}: seconds_before_limit: expected 1 to 65535, found {seconds!r}")
    stages = content.get("stages") or {}
    if not isinstance(stages, dict):
        raise BadSettings(f"{path}: stages: expected stages with their options, found {stages!r}")
    return Requests(
        _options(path, "cpu", content.get("cpu")),
        _options(path, "gpu", content.get("gpu")),
        {name: _options(path, f"stages.{name}", options) for name, options in stages.items()},
        seconds,
    )


def _options(path: Path, where: str, options: Any) -> dict[str, str]:
    options = options or {}
    if not isinstance(options, dict):
        raise BadSettings(f"{path}: {where}: expected options of sbatch, found {options!r}")
    for key, value in options.items():
        if not isinstance(key, str) or not re.fullmatch(r"[a-z][a-z-]*", key):
            raise BadSettings(f"{path}: {where}: {key!r} is no long option of sbatch")
        if key in (*OURS, "signal", "requeue", "no-requeue"):
            raise BadSettings(f"{path}: {where}.{key}: `downstream run` sets this itself")
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise BadSettings(
                f"{path}: {where}.{key}: expected a text or a number, found {value!r}"
            )
    return {key: str(value) for key, value in options.items()}


@dataclass
class _Job:
    """One stage's job, from its request to its end."""

    name: str
    stage_hash: str
    command: str
    environment: Mapping[str, str]
    options: tuple[str, ...]
    folder: Path = Path()
    index: int = 0
    id: str = ""
    state: str = ""
    error: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def file(self, ending: str) -> Path:
        """Return one of its files."""
        return self.folder / f"{self.index}.{ending}"

    @property
    def record(self) -> Path:
        """Where a later run finds it."""
        return ROOM / "jobs" / f"{self.name}.json"


class SlurmJobs:
    """The stages that run now as jobs; in place of ``Processes``."""

    def __init__(self, devices: Callable[[str], int]) -> None:
        """Look whether SLURM is there.

        Args:
            devices: tells on how many devices a stage trains; 0 for one that needs none.

        Raises:
            BadSettings: it is not, or ``slurm.yaml`` is not what it may be.
        """
        self._devices = devices
        self._requests = read_requests()
        try:
            _slurm("sbatch", "--version")
        except FileNotFoundError:
            raise BadSettings(
                "--engine slurm: sbatch is not here: run this where jobs are submitted"
            ) from None
        _sweep()
        self._lock = threading.Lock()
        self._waiting: list[_Job] = []
        self._running: dict[str, _Job] = {}
        self._service: threading.Thread | None = None
        self._told_away = False
        self._held: set[str] = set()
        self.stopping = False

    def run(
        self,
        name: str,
        command: list[str] | str,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
        stage_hash: str,
    ) -> None:
        """Run a stage's command as a job to its end.

        Args:
            name: the stage.
            command: a shell command, or several, as ``dvc.yaml`` has them.
            environment: added to this process' environment.
            on_line: is given each line of its output.
            stage_hash: what its result is made from; a job of an earlier run that is for the same
                is waited for, one for anything else is ended.

        Raises:
            StageFailed: it ended with an error; the message ends with its last line.
            TransientError: the error may go away by itself (a job or node that was killed; SLURM
                does not say whether an earlier job is still there).
            RunStoppedError: ``stop`` was called.
        """
        forget_failure(name)
        text = command if isinstance(command, str) else " && ".join(command)
        options = self._requests.of(name, self._devices(name))
        job = _Job(name, stage_hash, text, {**environment, "PATH": path_of_stages()}, options)
        is_there = self._find(job)
        with self._lock:
            if self.stopping:
                raise RunStoppedError
            if is_there:
                self._running[job.id] = job
            else:
                self._waiting.append(job)
            if self._service is None:
                self._service = threading.Thread(target=self._serve, daemon=True, name="slurm")
                self._service.start()
        self._follow(job, on_line)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End every job, by SIGTERM trainings with a checkpoint, and let no other start."""
        with self._lock:
            self.stopping = True
            for job in self._waiting:
                job.ended.set()
            self._waiting.clear()
            if self._running and number == signal.SIGTERM:
                _slurm("scancel", "--state=PENDING", *self._running)
                # To the script alone, which hands it on: a stage is to hear it once.
                _slurm("scancel", "--batch", "--signal=TERM", *self._running)
            elif self._running:
                _slurm("scancel", *self._running)

    def _find(self, job: _Job) -> bool:
        """Find the job that an earlier run has submitted for a stage, if it is still there.

        One for other inputs is ended first, which may take a while.
        """
        try:
            record = files.read_json(job.record)
            earlier, stage_hash = record["id"], record["stage_hash"]
            folder, index = Path(record["folder"]), int(record["index"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if not self._is_there(job, earlier):
            return False
        if stage_hash != job.stage_hash:
            say(f"{job.name}: SLURM's job {earlier} is for other inputs: it is ended")
            _slurm("scancel", earlier)
            while self._is_there(job, earlier):
                time.sleep(GATHER_SECONDS)
            return False
        job.id, job.folder, job.index = earlier, folder, index
        say(f"{job.name}: SLURM's job {earlier} of an earlier run is waited for")
        return True

    def _is_there(self, job: _Job, earlier: str) -> bool:
        states = self._states()
        if states is None:
            raise TransientError(
                f"{job.name}: SLURM does not say whether job {earlier} of an earlier run is still "
                "there, so no other is submitted"
            )
        return states.get(earlier, "gone") not in (*ENDED, "gone")

    def _serve(self) -> None:
        polled = time.monotonic()
        while True:
            time.sleep(GATHER_SECONDS)
            with self._lock:
                by_options: dict[tuple[str, ...], list[_Job]] = defaultdict(list)
                for job in self._waiting:
                    by_options[job.options].append(job)
                self._waiting.clear()
                for jobs in by_options.values():
                    self._submit(jobs)
                watched = dict(self._running)
            if watched and time.monotonic() - polled >= POLL_SECONDS:
                polled = time.monotonic()
                self._look(watched)

    def _submit(self, jobs: list[_Job]) -> None:
        """Submit jobs with the same options as one array."""
        folder = ROOM / f"{jobs[0].name}-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir(parents=True)
            for index, job in enumerate(jobs):
                job.folder, job.index = folder, index
                job.file("sh").write_text(_script(job), encoding="utf-8")
            (folder / "job.sh").write_text(
                f'#!/bin/bash\nexec /bin/bash {_quoted(folder)}/"$SLURM_ARRAY_TASK_ID".sh\n'
            )
            done = _slurm(
                "sbatch", "--parsable", "--requeue", "--open-mode=append",
                f"--array=0-{len(jobs) - 1}", f"--chdir={Path.cwd()}",
                f"--job-name={jobs[0].name}", f"--output={folder.resolve()}/%a.log",
                f"--signal=B:USR1@{self._requests.seconds_before_limit}",
                *jobs[0].options, str(folder / "job.sh"),
            )  # fmt: skip
            if done.returncode:
                text = " ".join(done.stderr.split())
                kind = TransientError if any(word in text for word in AWAY) else StageFailed
                raise kind(f"{', '.join(job.name for job in jobs)}: sbatch: {text}")
            array = done.stdout.strip().split(";")[0]
            for job in jobs:
                job.id = f"{array}_{job.index}"
                record = {"id": job.id, "stage_hash": job.stage_hash}
                place = {"folder": folder.as_posix(), "index": job.index}
                files.write_json(job.record, record | place)
                self._running[job.id] = job
        except (OSError, StageFailed) as error:
            for job in jobs:
                job.error = error
                job.ended.set()

    def _look(self, watched: Mapping[str, _Job]) -> None:
        """Find out which jobs have ended."""
        states = self._states()
        if states is None:
            return
        for name, job in watched.items():
            state = states.get(name)
            if state is None or state in ENDED:
                with self._lock:
                    del self._running[name]
                job.state = state or "gone"
                job.ended.set()

    def _states(self) -> dict[str, str] | None:
        """Return the state of each of this user's jobs that SLURM knows; None without an answer."""
        command = ("squeue", "--me", "--array", "--states=all", "--noheader", "--format=%i %T %r")
        try:
            done = _slurm(*command)
            problem = (done.stderr.strip() or "squeue failed") if done.returncode else ""
        except OSError as error:  # no memory for a process, say: the next look may have it
            problem = str(error)
        if problem:
            if not self._told_away:
                say(f"warning: SLURM does not answer, its jobs go on: {problem}")
            self._told_away = True
            return None
        self._told_away = False
        found = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
        self._tell_held(
            {row[0]: row[2] for row in found if len(row) == 3 and "held" in row[2].lower()}
        )
        return {row[0]: row[1] for row in found if len(row) > 1}

    def _tell_held(self, reasons: Mapping[str, str]) -> None:
        """Say of each job that somebody, or SLURM itself, keeps from starting, once each time."""
        running = dict(self._running)
        held = {job: reason for job, reason in reasons.items() if job in running}
        for job in held.keys() - self._held:
            say(
                f"warning: {running[job].name}: SLURM's job {job} is held ({held[job]}) and is "
                f"waited for: `scontrol release {job}` lets it start"
            )
        self._held = set(held)

    def _follow(self, job: _Job, on_line: Callable[[str], None]) -> None:
        """Hand on a job's lines until it has ended; raise what it ended with."""
        last: deque[str] = deque(maxlen=LAST_LINES_KEPT)
        lines = _Lines()
        while True:
            over = job.ended.wait(GATHER_SECONDS)
            for line in lines.new(job, over):
                last.append(line)
                on_line(line)
            if over:
                break
        if self.stopping:
            raise RunStoppedError
        if job.error:
            raise job.error
        ended = _end_of(job)
        job.record.unlink(missing_ok=True)
        if ended is None:
            raise _killed(job)
        code, asked = ended
        if code and asked == ["limit"]:
            raise StageFailed(
                f"{job.name} failed: SLURM's job {job.id} came near its time limit before it could "
                f"keep a checkpoint, or too often: give it more `time` in {SLURM_YAML}"
            )
        failure = failure_of(job.name, code, last)
        if failure:
            raise failure


class _Lines:
    """The lines of a job's log, as they come."""

    def __init__(self) -> None:
        self._read, self._rest = 0, b""

    def new(self, job: _Job, over: bool) -> list[str]:
        """Return what has come since the last call; at the end also a line that has no end."""
        try:
            with job.file("log").open("rb") as log:
                log.seek(self._read)
                content = log.read()
        except OSError:
            content = b""
        self._read += len(content)
        *whole, self._rest = (self._rest + content).split(b"\n")
        if over and self._rest:
            whole.append(self._rest)
        return [line.decode("utf-8", "replace").rstrip() for line in whole]


def _sweep() -> None:
    """Remove what belongs to arrays of earlier runs: all but the newest, and those of jobs."""
    kept = set()
    for record in (ROOM / "jobs").glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            kept.add(Path(files.read_json(record)["folder"]).name)
    arrays = sorted((path for path in ROOM.glob("*@*") if path.is_dir()), key=_age)
    for folder in arrays[ARRAYS_KEPT:]:
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def _age(path: Path) -> float:
    return -files.stamp(path)[0]


def _script(job: _Job) -> str:
    values = {**job.environment, "PYTHONUNBUFFERED": "1"}
    return SCRIPT.format(
        name=job.name,
        root=_quoted(Path.cwd()),
        environment=" ".join(f"{key}={shlex.quote(value)}" for key, value in values.items()),
        exit=_quoted(job.file("exit")),
        command=shlex.quote(job.command),
        requeues=MOST_REQUEUES,
        failure=_quoted(FAILURES / f"{job.name}.json"),
    )


def _end_of(job: _Job) -> tuple[int, list[str]] | None:
    """Return the exit code of a job's stage, and what had asked it to end.

    Nothing if the job was killed before it could tell.
    """
    # Nodes may see each other's files late; where SLURM knows that it was killed none comes. FAILED
    # is one whose stage has failed too, which nobody should try again.
    may_come = job.state in ("COMPLETED", "FAILED", "gone")
    until = time.monotonic() + (FILES_SECONDS if may_come else 0)
    while True:
        try:
            code, *asked = job.file("exit").read_text(encoding="utf-8").split()
            return int(code), asked
        except (OSError, ValueError):
            if time.monotonic() > until:
                return None
        time.sleep(GATHER_SECONDS)


def _killed(job: _Job) -> StageFailed:
    what = f"{job.name} failed: SLURM's job {job.id} was ended ({job.state})"
    lacked = {"TIMEOUT": "time", "DEADLINE": "time", "OUT_OF_MEMORY": "mem"}.get(job.state)
    if lacked:
        return StageFailed(f"{what}: give it more `{lacked}` in {SLURM_YAML}")
    return TransientError(what)


def _quoted(path: Path) -> str:
    return shlex.quote(path.as_posix())


def _slurm(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
